"""The detector of a model, as the model's row tells of it."""

from pathlib import Path
from typing import Final

from pydantic import Field

from app.schemas import Schema
from models.audit.figure import Figure
from models.detectors import DetectorConfig

DETECTORS: Final = "detectors"
"""The folder inside a model's in which its detector lies, under the hash of its weights: one that
is replaced is another folder, which a process may read to its end."""


class Attached(Schema):
    """The detector that is attached to a model."""

    sha256: str = Field(description="Of the detector's weights.", examples=["2c26b46b68ffc68f…"])
    bytes: int = Field(description="Of its files.", examples=[84_000])
    config: DetectorConfig
    false_alarm_rate: Figure = Field(
        description="Share of clean clips of `test` that it takes for attacked."
    )

    def folder(self, model_folder: Path) -> Path:
        """Where its files lie, inside the model's folder."""
        return model_folder / DETECTORS / self.sha256[:16]
