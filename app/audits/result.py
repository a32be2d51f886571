"""The result of an audit, as clients read it: the science's summary, and what came of it."""

from pydantic import Field

from app.audits.schemas import ForecastFigures, Precision, When
from app.schemas import Schema
from models.audit.comparison import Delta, Ranked
from models.audit.result import AuditSummary
from models.victims import Windows


class Hardening(Schema):
    """What `harden` came to."""

    when: When
    success_rate: float | None = Field(
        description="Of the most successful attack of that threat model at no more than the"
        " strength."
    )
    triggered: bool
    training: str | None = Field(default=None, examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    audit: str | None = Field(default=None, description="Of the new model, once it is queued.")


class BeforeAfter(Schema):
    """What hardening has changed: this audit beside the one that asked for its model."""

    baseline: str = Field(
        description="The audit of the model before: `a` of each difference.",
        examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    url: str = Field(description="Of the whole comparison.")
    clips: int = Field(description="That both audits have.", examples=[48])
    speakers: int | None = Field(examples=[12])
    comparisons: int = Field(description="Tests, for which each `p_holm` is adjusted.")
    ranking: list[Ranked]
    deltas: list[Delta] = Field(
        description="Of the clean clips and the worst cases; those of each attack are at `url`."
    )


class AuditResult(AuditSummary):
    """How robust the model is."""

    forecast: ForecastFigures = Field(description="What it was expected to cost.")
    windows: Windows
    precision: Precision
    hardening: Hardening | None = None
    comparison: BeforeAfter | None = Field(
        default=None, description="Of a hardened model's audit: what has changed."
    )
