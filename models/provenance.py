"""Where a model came from: what its configuration says of its training, typed.

A model that was made elsewhere may say what it likes, in any shape; all of it is kept. What is read
of it here is read leniently: a field of another shape counts as not said.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from models.checkpoint import ModelConfig
from models.corpus.folds import Fold
from models.corpus.manifest import Clip
from models.overfitting import Overfitting
from models.training_plan import Recipe

TrainedOn = Literal["train", "train+dev"]


class ResumedFrom(BaseModel):
    """The training that diverged, from whose checkpoint a model's own went on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    training: str = Field(examples=["train_01M888238JC9DS2AHRJKFBH5Z4"])
    iteration: int = Field(ge=0, description="Iterations that are that one's.")


class Provenance(BaseModel):
    """What is known of the training of a model; None or empty is not said."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    training: str | None = Field(None, description="The job that made it.")
    corpus: str | None = Field(None, description="Id or name of what it learnt from.")
    corpus_name: str | None = None
    train_on: TrainedOn = "train"
    fold: Fold | None = Field(None, description="That took the place of the corpus's partition.")
    public_speakers: dict[str, list[str]] = Field(
        default_factory=dict, description="Whose speech it learnt, by public corpus."
    )
    speakers_sha256: list[str] = Field(
        default_factory=list,
        description="Whose speech it learnt, by `speaker_hash`: a name that a corpus gives to"
        " somebody does not travel with the model.",
    )
    recipe: Recipe | None = None
    resumed_from: ResumedFrom | None = Field(
        None, description="Up to its iteration the recipe was another in some fields."
    )
    overfitting: Overfitting | None = Field(
        None, description="Found while it was trained, and which iteration the model is of."
    )
    selection: str | None = Field(None, description="How the clips of the corpus were chosen.")
    index_sha256: str | None = Field(None, description="Of the corpus' index.csv.")
    sample_rates_hz: list[int] = Field(default_factory=list, description="Of the recordings.")
    clips: dict[str, int] = Field(default_factory=dict, description="By partition.")
    speakers: dict[str, int] = Field(default_factory=dict, description="By partition.")
    torch: str | None = Field(None, description="Its version.")
    device: str | None = None

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_not_said(
        cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        try:
            return handler(value)
        except ValidationError:
            field = cls.model_fields[info.field_name or ""]
            return field.get_default(call_default_factory=True, validated_data={})

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """What a model's configuration says; never raises."""
        return cls.model_validate(config.training)

    def to_dict(self) -> dict[str, Any]:
        """As it is written into a configuration: what is said, in JSON's types."""
        said = self.model_dump(mode="json", exclude_none=True)
        return {name: value for name, value in said.items() if value not in UNSAID}


UNSAID: Final[tuple[object, ...]] = ({}, [])


def speaker_hash(name: str) -> str:
    """What stands for a speaker in a model's configuration: 16 hexadecimal digits of the SHA-256.
    Whoever knows the name finds it; whoever does not may guess it, as names are few."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def speaker_hashes(clips: Iterable[Clip]) -> list[str]:
    """The hashes of all whose speech the clips are, sorted; a clip may name nobody."""
    return sorted({speaker_hash(clip.speaker) for clip in clips if clip.speaker})
