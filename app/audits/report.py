"""The report of an audit: all that is needed to do it again, and its result. Typed once."""

from typing import Any, Literal

from pydantic import Field

from app.audits.exhibits import Exhibit
from app.audits.files import ArtifactFile
from app.audits.result import AuditResult
from app.corpora.schemas import Partition
from app.schemas import Schema
from models.audit.measures.gaps import GroupTable
from models.corpus.folds import Fold


class ReportedModel(Schema):
    """The model, and the weights by their SHA-256."""

    id: str
    name: str
    sha256: str
    architecture: str
    labels: list[str]
    frames: int
    front_end: str
    defense: dict[str, Any]
    training: dict[str, Any]


class Environment(Schema):
    """What computed it."""

    serval: str
    python: str
    torch: str
    numpy: str
    device: str
    threads: int


class CorpusClips(Schema):
    """Clips of a corpus."""

    corpus: str = Field(examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    corpus_name: str
    partition: Partition
    fold: Fold | None = Field(
        default=None, description="That took the place of the corpus's own partition."
    )
    of: int = Field(description="Clips of the partition whose emotions the model knows.")
    left_out: dict[str, int] = Field(description="Clips of the other emotions.")


class UploadedClips(Schema):
    """Clips that came with the request."""

    uploaded: int = Field(description="How many.")


class Report(Schema):
    """An audit and its circumstances."""

    object: Literal["report"] = "report"
    audit: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    created_at: str
    request: dict[str, Any] = Field(description="As `input` of the job.")
    model: ReportedModel
    clips: CorpusClips | UploadedClips
    result: AuditResult
    groups: list[GroupTable] = Field(
        default_factory=list,
        description="The figures of each group of clips, as they are and at each point of the"
        " curve: those that `result.gaps` has the largest differences of.",
    )
    exhibits: list[Exhibit] = Field(
        default_factory=list,
        description="The easiest, the median and the hardest of the broken clips, fewer if fewer"
        " were broken: of the first threat model of the request of which an attack broke one.",
    )
    artifacts: list[ArtifactFile]
    environment: Environment
