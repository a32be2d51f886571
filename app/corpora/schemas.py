"""The corpus resource."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.corpora.tables import Corpus as Row
from app.schemas import UNSHOWABLE, Name, Schema, Timestamp
from models.corpus import Format
from models.corpus import remarks as remarks_of
from models.corpus.manifest import MAX_LABEL_CHARACTERS

Partition = Literal["train", "dev", "test", "all"]

Emotion = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=1,
        max_length=MAX_LABEL_CHARACTERS,
        pattern=f"^[^{UNSHOWABLE}]+$",
    ),
]
"""The name of one; in lower case, as those of clips are."""


class CorpusRequest(Schema):
    """What to make of the archive."""

    name: Name = Field(examples=["CREMA-D"])
    format: Format = Field(
        default="auto",
        description="index: the archive has an `index.csv`. A corpus' name: its files are named as"
        " it was published. auto finds out.",
    )
    labels: dict[Emotion, Emotion] | None = Field(
        default=None,
        max_length=1000,
        description="What emotions are to be called instead, by the names that the corpus gives.",
        examples=[{"angry": "anger"}],
    )
    aliases: bool = Field(
        default=False,
        strict=True,
        description="Call emotions by the shared names where they have another one in the published"
        " table: angry is anger, Freude is happiness. `labels` go before it.",
    )


class Part(Schema):
    """One part of a speaker-independent partition."""

    clips: int = Field(examples=[3308])
    speakers: int = Field(examples=[56])
    classes: dict[str, int] = Field(examples=[{"anger": 590, "neutral": 640}])
    genders: dict[str, int] = Field(examples=[{"f": 1570, "m": 1738}])
    seconds: float = Field(examples=[8437.2])


class SkippedFile(Schema):
    """A file of the archive that is not used."""

    path: str = Field(examples=["README.md"])
    reason: str = Field(examples=["neither WAV, FLAC nor AIFF"])
    code: str = Field(
        default="unknown",
        description="Stable name of the kind of reason, as `skipped_counts` has it: `not_audio`,"
        " `copy`, `lesser_recording`, `not_listed`, `other_name`, …, or that of a refused clip.",
        examples=["not_audio"],
    )


class Corpus(Schema):
    """Labelled speech with a speaker-independent partition."""

    id: str = Field(examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    object: Literal["corpus"] = "corpus"
    name: str
    format: str = Field(examples=["cremad"])
    clips: int = Field(examples=[5370])
    classes: dict[str, int] = Field(description="Clips of each emotion.")
    speakers: int = Field(examples=[91])
    genders: dict[str, int] = Field(description="Clips of each gender, where it is known.")
    seconds: float = Field(description="Length of all clips together.", examples=[13680.4])
    partitions: dict[str, Part]
    skipped: list[SkippedFile] = Field(
        description="The first 100; `/v1/corpora/{id}/skipped` has them all."
    )
    skipped_counts: dict[str, int] = Field(
        description="Files that are not used, by code.", examples=[{"not_audio": 2, "silent": 1}]
    )
    warnings: list[str] = Field(
        description="What makes figures of a partition weak: one speaker, one gender, or an emotion"
        " with fewer than 5 clips.",
        examples=[["test has women only."]],
    )
    created_at: Timestamp

    @classmethod
    def of(cls, row: Row) -> "Corpus":
        """The resource of a row."""
        parts = {name: Part.model_validate(part) for name, part in row.partitions.items()}
        genders = {name for part in parts.values() for name in part.genders}
        return cls(
            id=row.id,
            name=row.name,
            format=row.format,
            clips=row.clips,
            classes=row.classes,
            speakers=row.speakers,
            genders={
                name: sum(part.genders.get(name, 0) for part in parts.values())
                for name in sorted(genders)
            },
            seconds=round(sum(part.seconds for part in parts.values()), 3),
            partitions=parts,
            skipped=[SkippedFile.model_validate(one) for one in row.skipped],
            skipped_counts=row.skipped_counts,
            warnings=[
                remark
                for name, part in parts.items()
                for remark in remarks_of.remarks(
                    name,
                    remarks_of.Part(part.clips, part.speakers, part.classes, part.genders),
                    row.classes,
                )
            ],
            created_at=row.created_at,
        )
