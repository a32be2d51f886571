"""Folds over speakers: for corpora of so few that one partition says little.

Of k folds each is the test once, and the others are what is trained on. As many folds as speakers
are leave-one-speaker-out. No fold has a development part: nothing may be tuned on it.
"""

from dataclasses import replace
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.corpus.manifest import MAX_LABEL_CHARACTERS, CorpusError, Manifest
from models.corpus.partition import PartitionError, speaker_folds

MOST_FOLDS: Final = 100
MOST_NAMED: Final = 20
OF_FOLDS: Final = frozenset({"unknown_speaker", "too_few_speakers", "unknown_split"})
"""Codes of what is wrong with a fold and not with its corpus; a fold has no dev."""


class Fold(BaseModel):
    """A partition in two that takes the place of the corpus's own: train, and test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int | None = Field(
        default=None, ge=1, le=MOST_FOLDS, description="Which of the folds is the test, from 1."
    )
    of: int | None = Field(
        default=None,
        ge=2,
        le=MOST_FOLDS,
        description="How many there are; with as many as speakers, one speaker is left out.",
    )
    speaker: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LABEL_CHARACTERS,
        description="Instead of both: this speaker is the test, all others are trained on.",
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        numbered = self.number is not None and self.of is not None
        if (self.number is not None or self.of is not None) == (self.speaker is not None) or not (
            numbered or self.speaker is not None
        ):
            raise ValueError("give number and of, or speaker")
        if self.number is not None and self.of is not None and self.number > self.of:
            raise ValueError(f"number is {self.number}, and there are {self.of} folds")
        return self

    def __str__(self) -> str:
        return f"fold {self.number}/{self.of}" if self.speaker is None else f"fold {self.speaker}"

    def apply(self, manifest: Manifest) -> Manifest:
        """The same clips in the same order, those of the fold as test and all others as train.

        Raises:
            CorpusError: no clip is of the speaker (code ``unknown_speaker``).
            PartitionError: there are more folds than speakers (``too_few_speakers``).
        """
        if self.speaker is not None:
            if self.speaker not in manifest.speakers:
                named = ", ".join(manifest.speakers[:MOST_NAMED])
                raise CorpusError(
                    "unknown_speaker",
                    f"No clip is of the speaker {self.speaker!r}; there are {named}.",
                )
            test = {self.speaker}
        else:
            assert self.number is not None
            assert self.of is not None
            if self.of > len(manifest.speakers):
                raise PartitionError(
                    "too_few_speakers",
                    f"{len(manifest.speakers)} speakers cannot be split into {self.of} folds. Ask"
                    " for fewer folds, or add speakers.",
                    manifest.speakers,
                )
            test = set(speaker_folds(manifest, self.of)[self.number - 1])
        return Manifest(
            tuple(
                replace(clip, split="test" if clip.speaker in test else "train")
                for clip in manifest
            )
        )
