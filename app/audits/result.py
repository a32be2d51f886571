"""The result of an audit, as clients read it: the science's summary, and what came of it."""

from pydantic import Field

from app.audits.forecasts import ForecastFigures
from app.audits.harden_request import When
from app.audits.schemas import Precision
from app.schemas import Schema
from models.audit.checks import CheckResult, Evidence
from models.audit.comparison import Delta, Ranked
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
    comparison: BeforeAfter | None = Field(
        default=None, description="Of a hardened model's audit: what has changed."
    )
