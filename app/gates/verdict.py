"""The verdict over an audit, typed once. Terminal, JSON, JUnit and Markdown show this and no more,
and the exit code is a property of it, so that none of them can say something else.
"""

from datetime import date
from enum import IntEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

SCHEMA_VERSION: Final = "1"


class ExitCode(IntEnum):
    """How the command ends."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    """An argument, a name or a waiver does not hold."""
    NOTHING_TO_JUDGE = 3
    """The audit failed or was cancelled, its evidence is invalid, or a figure is missing."""
    UNREACHABLE = 4
    """The service does not answer."""


WORDS: Final[dict[ExitCode, str]] = {
    ExitCode.PASSED: "passed",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "cannot be asked",
    ExitCode.NOTHING_TO_JUDGE: "nothing to judge",
    ExitCode.UNREACHABLE: "the service does not answer",
}

Outcome = Literal["failed", "error", "skipped", "passed"]
"""Worst first. error: it could not be judged; skipped: it does not count, and why is said."""
WORST_FIRST: Final[tuple[Outcome, ...]] = ("failed", "error", "skipped", "passed")


class Shown(BaseModel):
    """Base of what a verdict is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Case(Shown):
    """One thing that was judged."""

    kind: Literal["gate", "check", "evidence", "command"]
    name: str = Field(description="A gate's condition, or a check's id.")
    outcome: Outcome
    message: str
    waived: bool = False
    remedy: str | None = None
    request: dict[str, Any] | None = Field(
        default=None, description="A JSON merge patch to the audit's request that settles it."
    )


class AppliedWaiver(Shown):
    """A waiver, and what it came to."""

    check: str
    reason: str
    until: date
    effect: str


class Verdict(Shown):
    """Whether a build may go on.

    Attributes:
        failure: why nothing was judged at all: exit code 2 or 4.
    """

    schema_version: Literal["1"] = SCHEMA_VERSION
    audit: str | None = None
    baseline: str | None = None
    model: str | None = None
    evidence: str | None = None
    finding: str | None = None
    failure: Literal[2, 4] | None = None
    waivers: list[AppliedWaiver] = Field(default_factory=list)
    cases: list[Case]

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def exit_code(self) -> int:
        """0 to 4: see :class:`ExitCode`."""
        if self.failure is not None:
            return int(self.failure)
        outcomes = {case.outcome for case in self.cases}
        if "failed" in outcomes:
            return int(ExitCode.FAILED)
        return int(ExitCode.NOTHING_TO_JUDGE if "error" in outcomes else ExitCode.PASSED)

    @property
    def word(self) -> str:
        """The exit code in words."""
        return WORDS[ExitCode(self.exit_code)]

    def worst_first(self) -> list[Case]:
        """The cases, those that decide before the others, else in their order."""
        return sorted(self.cases, key=lambda case: WORST_FIRST.index(case.outcome))

    def count(self, outcome: Outcome) -> int:
        """How many cases came out so."""
        return sum(case.outcome == outcome for case in self.cases)


def failure(code: ExitCode, message: str, *, audit: str | None = None) -> Verdict:
    """The verdict where nothing could be judged at all.

    Args:
        code: `ExitCode.USAGE` or `ExitCode.UNREACHABLE`.
    """
    name = "usage" if code is ExitCode.USAGE else "service"
    return Verdict(
        audit=audit,
        failure=2 if code is ExitCode.USAGE else 4,
        cases=[Case(kind="command", name=name, outcome="error", message=message)],
    )
