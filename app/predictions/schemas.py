"""The prediction resource.

What is answered is a dict with a type: models of pydantic would be built, checked and taken apart
again for each clip, after a network that has just swept the caches.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from app.schemas import Schema
from models.audio import Channel


@with_config(ConfigDict(extra="forbid"))
class Score(TypedDict):
    """How probable the model finds a label."""

    label: Annotated[str, Field(examples=["anger"])]
    score: Annotated[float, Field(examples=[0.91])]


@with_config(ConfigDict(extra="forbid"))
class Warned(TypedDict):
    """What the prediction rests on that whoever reads it should know."""

    code: Annotated[str, Field(examples=["digital_silence"])]
    message: str
    value: Annotated[
        float | str,
        Field(description="The quantity that the code stands for.", examples=[0.25]),
    ]


AdversarialScore = Annotated[
    float,
    Field(
        description="How much the most suspicious window looks attacked, in [0, 1], as the model's"
        " detector finds: an alarm above the threshold that GET /v1/models/{model_id} tells. Absent"
        " if the model has no detector.",
        examples=[0.02],
    ),
]


@with_config(ConfigDict(extra="forbid"))
class Prediction(TypedDict):
    """What a model hears in a clip."""

    object: Literal["prediction"]
    model: Annotated[str, Field(examples=["cnn4-single-cremad"])]
    label: Annotated[str, Field(description="The most probable one.", examples=["anger"])]
    scores: Annotated[
        list[Score],
        Field(
            description="Most probable first. Without `top_k` they sum to 1.",
            examples=[[{"label": "anger", "score": 0.91}, {"label": "sadness", "score": 0.09}]],
        ),
    ]
    duration_s: Annotated[float, Field(examples=[2.53])]
    windows: Annotated[
        int,
        Field(
            description="How many half-overlapping windows the clip was scored in; `scores` is"
            " their mean.",
            examples=[1],
        ),
    ]
    adversarial_score: NotRequired[AdversarialScore]
    warnings: list[Warned]
    request_id: Annotated[str, Field(examples=["req_5f0c9b1d2e3a4f60"])]


@with_config(ConfigDict(extra="forbid"))
class ChannelFault(TypedDict):
    """Why a channel has no prediction although the other one has."""

    code: Annotated[str, Field(examples=["silent"])]
    message: str


@with_config(ConfigDict(extra="forbid"))
class ChannelPrediction(TypedDict):
    """What a model hears in one channel of a recording, or why it hears nothing."""

    channel: Annotated[
        Literal["left", "right"], Field(description="A lone channel is the left one.")
    ]
    label: Annotated[
        str | None, Field(description="The most probable one. Null where `error` is not.")
    ]
    scores: Annotated[
        list[Score], Field(description="Most probable first. Empty where `label` is null.")
    ]
    windows: Annotated[int, Field(examples=[1])]
    adversarial_score: NotRequired[AdversarialScore]
    warnings: list[Warned]
    error: ChannelFault | None


@with_config(ConfigDict(extra="forbid"))
class ChannelPredictions(TypedDict):
    """With `channel=each`: what a model hears in each channel, as of two parties on a line."""

    object: Literal["channel_predictions"]
    model: Annotated[str, Field(examples=["cnn4-single-cremad"])]
    duration_s: Annotated[float, Field(examples=[2.53])]
    channels: Annotated[
        list[ChannelPrediction],
        Field(min_length=1, max_length=2, description="Left before right. One has a prediction."),
    ]
    request_id: Annotated[str, Field(examples=["req_5f0c9b1d2e3a4f60"])]


ModelId = Annotated[str, Field(max_length=100, examples=["cnn4-single-cremad"])]
TopK = Annotated[int | None, Field(ge=1, le=1000, description="Only the most probable labels.")]


_WHICH = "Which of two channels is scored; the loudest has the most energy above 100 Hz."
_EACH = (
    "`each` scores both, as those of two parties on a telephone line, and answers"
    " `channel_predictions` in place of a `prediction`."
)


class PredictQuery(Schema):
    """How to score the clip."""

    model: ModelId | None = Field(
        default=None, description="A model's id; without it the default one's."
    )
    top_k: TopK = None
    channel: Channel | Literal["each"] = Field(default="loudest", description=f"{_WHICH} {_EACH}")


class HuggingFacePath(Schema):
    """Which model scores the clip."""

    model: ModelId


class HuggingFaceQuery(Schema):
    """How to score the clip, and to answer."""

    top_k: TopK = None
    channel: Channel = Field(default="loudest", description=_WHICH)


class HuggingFaceParameters(Schema):
    """What Hugging Face's clients may send along."""

    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    function_to_apply: Literal["softmax"] | None = None


class HuggingFaceRequest(Schema):
    """What Hugging Face's clients send when they send parameters: the clip as base64."""

    inputs: str
    parameters: HuggingFaceParameters | None = None
