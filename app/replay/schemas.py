"""What an audit was done with, by hashes; and how a bundle is asked for."""

from typing import Final, Literal

from pydantic import Field

from app.schemas import Schema
from app.signing.schemas import Sha256

MOST_CLIPS: Final = 1_000_000

Role = Literal["audited", "source"]


class ClipUsed(Schema):
    """A clip of the audit. What is known of it stands in its row."""

    index: int = Field(ge=0, lt=MOST_CLIPS, description="Of its row.")
    clip: str = Field(max_length=4096)
    bytes: int | None = Field(ge=0, description="Of the recording; null if it was not at hand.")
    sha256: Sha256 | None


class ModelUsed(Schema):
    """A model of the audit."""

    role: Role = Field(description="A source is what a transfer attack is crafted on.")
    id: str = Field(max_length=64)
    weights_sha256: Sha256 = Field(description="Of model.safetensors.")
    config_sha256: Sha256 = Field(description="Of config.json.")


class Materials(Schema):
    """All that an audit was done with, and what its floating-point sums hang on."""

    format: Literal["serval-materials-1"] = "serval-materials-1"
    chunk: int = Field(ge=1, le=100_000, description="Clips that were scored together.")
    batch: int = Field(ge=1, le=100_000, description="Windows of the model in a batch, at most.")
    models: list[ModelUsed] = Field(min_length=1, max_length=100)
    clips: list[ClipUsed] = Field(max_length=MOST_CLIPS)


class BundleQuery(Schema):
    """What goes into the bundle."""

    model: Literal["files", "hash"] = Field(
        default="files",
        description="The models' files, or their hashes alone: whoever replays it has them then.",
    )
    audio: bool = Field(
        default=False,
        description="Also all recordings: the clips, and the adversarial sounds that the audit"
        " kept. They are personal data. Without them the bundle has their hashes, and whoever"
        " replays it needs the corpus.",
    )
