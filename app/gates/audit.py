"""What gates read of an audit and of a comparison, as the service answers them.

Read leniently, unlike requests: a command line may be older or newer than the service that it asks,
and fields that no gate needs are none of its business.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Evidence = Literal["sound", "weak", "invalid"]
Severity = Literal["invalid", "weak", "note"]


class Read(BaseModel):
    """Base of what is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Figure(Read):
    """A figure with its interval; see :class:`models.audit.figure.Figure`."""

    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None
    n_speakers: int | None = None


class Threat(Read):
    """What an attack may change."""

    domain: str
    norm: str
    unit: str


class AttackOfAudit(Read):
    """One of the attacks."""

    index: int
    type: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    threat: Threat


class Clean(Read):
    """The clips as they are."""

    measures: dict[str, Figure] = Field(default_factory=dict)


class Point(Read):
    """An attack at a strength."""

    attack: int
    strength: float
    measures: dict[str, Figure] = Field(default_factory=dict)


class Case(Read):
    """All attacks of a threat model, up to a strength."""

    threat: Threat
    strength: float
    measures: dict[str, Figure] = Field(default_factory=dict)


class Smallest(Read):
    """The smallest strengths at which an attack breaks clips."""

    attack: int
    figures: dict[str, Figure] = Field(default_factory=dict)


class Remedy(Read):
    """What to do about a check."""

    text: str
    request: dict[str, Any] | None = None


class Check(Read):
    """What an audit was looked at for."""

    id: str
    title: str = ""
    severity: Severity
    status: Literal["clear", "raised", "not_run"]
    measured: str | None = None
    reason: str | None = None
    failed: bool = False
    remedy: Remedy | None = None


class AuditResult(Read):
    """What an audit found. ``evidence`` is None of one that was made before there were checks."""

    evidence: Evidence | None = None
    finding: str | None = None
    checks: list[Check] = Field(default_factory=list)
    clean: Clean
    attacks: list[AttackOfAudit]
    curve: list[Point]
    worst_case: list[Case]
    minimum: list[Smallest] = Field(default_factory=list)


class JobError(Read):
    """Why an audit failed."""

    code: str
    message: str


class Audit(Read):
    """An audit, as `GET /v1/audits/{id}` answers."""

    id: str
    status: str
    model: str | None = None
    result: AuditResult | None = None
    error: JobError | None = None
