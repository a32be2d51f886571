"""The result of an audit, as clients read it: the science's summary, and what came of it."""

from pydantic import Field

from app.audits.schemas import ForecastFigures, Precision, When
from app.schemas import Schema
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


class AuditResult(AuditSummary):
    """How robust the model is."""

    forecast: ForecastFigures = Field(description="What it was expected to cost.")
    windows: Windows
    precision: Precision
    hardening: Hardening | None = None
