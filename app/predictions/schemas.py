"""The prediction resource.

What is answered is a dict with a type: models of pydantic would be built, checked and taken apart
again for each clip, after a network that has just swept the caches.
"""

from typing import Annotated, Literal

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
    warnings: list[Warned]
    request_id: Annotated[str, Field(examples=["req_5f0c9b1d2e3a4f60"])]


ModelId = Annotated[str, Field(max_length=100, examples=["cnn4-single-cremad"])]
TopK = Annotated[int | None, Field(ge=1, le=1000, description="Only the most probable labels.")]


class PredictQuery(Schema):
    """How to score the clip."""

    model: ModelId | None = Field(
        default=None, description="A model's id; without it the default one's."
    )
    top_k: TopK = None
    channel: Channel = Field(
        default="loudest",
        description="Which of two channels is scored; the loudest has the most energy above 100 Hz",
    )


class HuggingFacePath(Schema):
    """Which model scores the clip."""

    model: ModelId


class HuggingFaceQuery(Schema):
    """How to answer."""

    top_k: TopK = None


class HuggingFaceParameters(Schema):
    """What Hugging Face's clients may send along."""

    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    function_to_apply: Literal["softmax"] | None = None


class HuggingFaceRequest(Schema):
    """What Hugging Face's clients send when they send parameters: the clip as base64."""

    inputs: str
    parameters: HuggingFaceParameters = Field(default_factory=HuggingFaceParameters)
