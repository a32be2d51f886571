"""What a check answers, and what stands of it in a result."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import Field

from models.audit.figure import Figures

Evidence = Literal["sound", "weak", "invalid"]
"""Whether an audit's figures may be relied on. It says nothing of how robust the model is."""
Severity = Literal["invalid", "weak", "note"]
"""What a raised check does to the evidence; a note leaves it as it is."""
Status = Literal["clear", "raised", "not_run"]

SEVERITIES: Final[dict[Severity, str]] = {
    "invalid": "nothing may be concluded from the audit",
    "weak": "its figures need a second look before anybody relies on them",
    "note": "the figures stand; whoever reads them should know",
}
"""What each means, in words."""


class Remedy(Figures):
    """What to do about a check that was raised, or could not be run."""

    text: str = Field(examples=["Add noise of the same strengths."])
    request: dict[str, Any] | None = Field(
        default=None,
        description="Where another run settles it: a JSON merge patch (RFC 7396) to the audit's"
        " `input`. Apply it, and submit what comes out.",
        examples=[{"limit": None}],
    )


class CheckResult(Figures):
    """What one check found. Every registered check stands in every result."""

    id: str = Field(examples=["no_control"])
    version: int = Field(
        description="Raised when the check would judge the same audit otherwise.", examples=[1]
    )
    title: str = Field(
        description="What is wrong if it is raised.",
        examples=["No noise of the same size to hold the attack against"],
    )
    severity: Severity = Field(
        description="What it does to the evidence if it is raised: "
        + "; ".join(f"`{name}`: {text}" for name, text in SEVERITIES.items())
        + "."
    )
    status: Status
    measured: str | None = Field(
        description="What was found, in numbers; null if it was not run.",
        examples=["34 clips were right before the attack, of 48; fewer than 50 tell little."],
    )
    reason: str | None = Field(description="Why it was not run; else null.")
    failed: bool = Field(
        default=False,
        description="Whether it was not run because it failed itself, and not because it does not"
        " apply: the evidence is weak at best then.",
    )
    remedy: Remedy | None = Field(description="Null where there is nothing to do.")


@dataclass(frozen=True)
class Clear:
    """There is nothing to say against the audit.

    Attributes:
        measured: a sentence with the numbers.
    """

    measured: str


@dataclass(frozen=True)
class Raised:
    """There is.

    Attributes:
        measured: a sentence with the numbers.
        remedy: an imperative sentence.
        request: see :class:`Remedy`.
    """

    measured: str
    remedy: str
    request: dict[str, Any] | None = None


@dataclass(frozen=True)
class NotRun:
    """It does not apply, or what it needs is not known.

    Attributes:
        reason: a sentence.
        remedy: what would let it be run; "" for nothing.
        request: see :class:`Remedy`.
    """

    reason: str
    remedy: str = ""
    request: dict[str, Any] | None = field(default=None)


Outcome = Clear | Raised | NotRun
