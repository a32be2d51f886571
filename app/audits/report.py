"""The report of an audit: all that is needed to do it again, and its result. Typed once."""

from typing import Any, Final, Literal

from pydantic import Field

from app.audits.exhibits import Exhibit
from app.audits.files import ArtifactFile
from app.audits.result import AuditResult
from app.corpora.schemas import Partition
from app.schemas import Schema
from app.signing.signatures import DOES_NOT_SAY
from models.audit.measures.gaps import GroupTable
from models.corpus.folds import Fold

SCHEMA_VERSION: Final = "1.1"
"""Of reports that are written now."""


class Deviations(Schema):
    """What an ε of log-mels counts: the standard deviations of the model's mel bands, in units of a
    natural logarithm of magnitude, 8.686 dB each."""

    loudest: float = Field(
        description="Of the band that is the loudest on average.", examples=[2.41]
    )
    lowest: float = Field(examples=[2.02])
    median: float = Field(examples=[2.36])
    highest: float = Field(examples=[2.78])


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
    deviations: Deviations | None = Field(
        default=None, description="Null in reports from before there was a `schema_version`."
    )
    detector_sha256: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Of the weights of its detector, if the audit asked that; absent otherwise.",
    )


class Environment(Schema):
    """What computed it."""

    serval: str
    python: str
    torch: str
    numpy: str
    device: str
    threads: int


SHA256: Any = Field(
    default=None,
    description="Of the clips of the audit, in their order: each one's name, label and speaker as a"
    " JSON array, a line end, and its log-mels as little-endian float32. Null in reports from"
    " before there was a `schema_version`.",
)


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
    sha256: str | None = SHA256


class UploadedClips(Schema):
    """Clips that came with the request."""

    uploaded: int = Field(description="How many.")
    sha256: str | None = SHA256


class Report(Schema):
    """An audit and its circumstances."""

    object: Literal["report"] = "report"
    schema_version: str = Field(
        default=SCHEMA_VERSION,
        pattern=r"^1\.[0-9]+$",
        description="Of the shape of this document. The second number rises when a field is added,"
        " the first when one goes or means something else.",
    )
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
    warnings: list[str] = Field(
        default_factory=list, description="What the job's owner was told of this audit."
    )
    measures: dict[str, int] = Field(
        default_factory=dict,
        description="Versions of the measures that figures are of. One rises when the same rows"
        " would give another figure.",
    )
    artifacts: list[ArtifactFile]
    environment: Environment
    about_signature: str = Field(
        default=DOES_NOT_SAY,
        description="What the signature that comes beside it says, and does not say.",
    )
