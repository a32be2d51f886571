"""The corpus resource."""

from typing import Literal

from pydantic import Field

from app.corpora.tables import Corpus as Row
from app.schemas import Name, Schema, Timestamp
from models.corpus import Format

Partition = Literal["train", "dev", "test", "all"]


class CorpusRequest(Schema):
    """What to make of the archive."""

    name: Name = Field(examples=["CREMA-D"])
    format: Format = Field(
        default="auto",
        description="index: the archive has an `index.csv`. A corpus' name: its files are named as"
        " it was published. auto finds out.",
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
    reason: str = Field(examples=["neither WAV nor FLAC"])


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
    skipped: list[SkippedFile]
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
            created_at=row.created_at,
        )
