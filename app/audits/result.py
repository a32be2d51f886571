"""The result of an audit, as clients read it: the science's summary, and what came of it."""

from pydantic import Field

from app.audits.schemas import ForecastFigures, Precision, When
from app.schemas import Schema
from models.audit.checks import CheckResult, Evidence
from models.audit.figure import Figure
from models.audit.result import AuditSummary
from models.victims import Windows


class Hardening(Schema):
    """What `harden` came to."""

    when: When
    success_rate: float | None = Field(
        description="Of the worst case of that threat model at no more than the strength."
    )
    figures: dict[str, Figure] = Field(
        default_factory=dict,
        description="That, and the UAR, with the intervals that decide.",
    )
    triggered: bool
    reason: str | None = Field(
        default=None, description="Why nothing was triggered although the model looks too weak."
    )
    training: str | None = Field(default=None, examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    audit: str | None = Field(default=None, description="Of the new model, once it is queued.")


class AuditResult(AuditSummary):
    """How robust the model is, and whether that may be relied on."""

    evidence: Evidence | None = Field(
        default=None,
        description="Whether the figures may be relied on: the worst severity of a check that is"
        " raised, and weak at best where a check failed. It says nothing of how robust the model"
        " is; `finding` does. Null of an audit from before there were checks.",
    )
    finding: str | None = Field(
        default=None,
        description="What was found, in one sentence: with its bound, and noise of the same size.",
        examples=[
            (
                "At ±0.02 σ UAR falls from .71 to .42 [.33, .51]; 14 of the 34 clips that were"
                " right before are broken; no noise of that size was scored, so how much of this"
                " is the attack's is not known; chance is .17."
            )
        ],
    )
    checks: list[CheckResult] = Field(
        default_factory=list,
        description="What speaks against relying on it: every check that there is, raised ones"
        " first, then those that were not run.",
    )
    forecast: ForecastFigures = Field(description="What it was expected to cost.")
    windows: Windows
    precision: Precision
    hardening: Hardening | None = None
