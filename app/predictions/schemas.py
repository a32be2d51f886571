"""The prediction resource."""

from typing import Annotated, Literal

from pydantic import Field

from app.schemas import Schema


class Score(Schema):
    """How probable the model finds a label."""

    label: str = Field(examples=["anger"])
    score: float = Field(examples=[0.91])


class Prediction(Schema):
    """What a model hears in a clip."""

    object: Literal["prediction"] = "prediction"
    model: str = Field(examples=["cnn4-single-cremad"])
    label: str = Field(description="The most probable one.", examples=["anger"])
    scores: list[Score] = Field(
        description="Most probable first. Without `top_k` they sum to 1.",
        examples=[[{"label": "anger", "score": 0.91}, {"label": "sadness", "score": 0.09}]],
    )
    duration_s: float = Field(examples=[2.53])
    windows: int = Field(
        description="How many half-overlapping windows the clip was scored in; `scores` is their"
        " mean.",
        examples=[1],
    )
    warnings: list[str] = Field(default_factory=list)
    request_id: str = Field(examples=["req_5f0c9b1d2e3a4f60"])


class HuggingFaceParameters(Schema):
    """What Hugging Face's clients may send along."""

    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    function_to_apply: Literal["softmax"] | None = None


class HuggingFaceRequest(Schema):
    """What Hugging Face's clients send when they send parameters: the clip as base64."""

    inputs: str
    parameters: HuggingFaceParameters = Field(default_factory=HuggingFaceParameters)
