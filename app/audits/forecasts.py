"""What an audit is expected to cost, as clients read it."""

from typing import Literal

from pydantic import Field

from app.schemas import Schema


class ForecastFigures(Schema):
    """What an audit is expected to cost."""

    clips: int = Field(examples=[48])
    forwards: int = Field(description="Forward passes of a clip, those to score it among them.")
    backwards: int = Field(description="Backward passes of a clip.")
    queries: int = Field(description="Forward passes of attacks that see scores alone.")
    exact: bool = Field(
        description="Whether so much will be spent. False where an attack's work depends on what it"
        " finds: then it is the most."
    )
    seconds: float = Field(
        description="On the device of this answer, from a calibration of a second."
    )
    device: str = Field(examples=["cpu"])


class ForecastAnswer(ForecastFigures):
    """What an audit would cost."""

    object: Literal["forecast"] = "forecast"
