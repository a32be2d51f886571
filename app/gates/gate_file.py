"""`serval-gate.toml`: the gates of a project, and what it waives, committed beside its code.

.. code-block:: toml

    baseline = "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
    evidence = "weak"

    [[gates]]
    fail_if = "worst_uar@0.02.low < 0.35"
    why = "Below that a supervisor hears of too many calms as anger."

    [[waivers]]
    check = "small_class"
    reason = "The corpus has four clips of disgust, and there will be no more."
    until = 2027-03-01
"""

import difflib
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.errors import shown
from app.gates.errors import GateError
from app.gates.expression import MOST_CHARACTERS, Condition, parse

NAME: Final = "serval-gate.toml"
MOST_BYTES: Final = 256 * 1024
MOST_GATES: Final = 1_000
MOST_TEXT: Final = 500
"""Characters of a reason."""


class Stated(BaseModel):
    """Base of what the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Gate(Stated):
    """A condition under which the build fails."""

    fail_if: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    why: str | None = Field(None, max_length=MOST_TEXT)

    @property
    def condition(self) -> Condition:
        """The same, read."""
        return parse(self.fail_if)


class Waiver(Stated):
    """A check that is known to be raised, and is put up with for a time."""

    check: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=MOST_TEXT)
    until: date = Field(description="The last day on which it counts, in UTC.")

    @field_validator("until", mode="before")
    @classmethod
    def _a_date_without_a_time(cls, value: object) -> object:
        if isinstance(value, datetime) or not isinstance(value, date):
            raise ValueError("give a date, such as 2027-03-01, without quotes")  # noqa: TRY004
        return value


class GateFile(Stated):
    """What a build demands of an audit.

    Attributes:
        baseline: an audit that `delta_…` is taken against.
        evidence: the least that the audit's evidence must be.
    """

    baseline: str | None = Field(None, min_length=1, max_length=100)
    evidence: Literal["sound", "weak"] = "weak"
    gates: list[Gate] = Field(default_factory=list, max_length=MOST_GATES)
    waivers: list[Waiver] = Field(default_factory=list, max_length=MOST_GATES)


def read(path: Path) -> GateFile:
    """The file's gates and waivers.

    Raises:
        GateError: it cannot be read or is no such file; an unknown key is told of with the nearest
            one that there is.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise GateError(
            f"The gate file {shown(str(path))} cannot be read: {error.strerror}."
        ) from None
    if len(data) > MOST_BYTES:
        raise GateError(
            f"The gate file {shown(str(path))} is larger than {MOST_BYTES} bytes: leave out what is"
            " no gate or waiver."
        )
    try:
        found = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or a tower of brackets
        raise GateError(
            f"The gate file {shown(str(path))} is no TOML: {shown(str(error))}."
        ) from None
    gates = _checked(found, path)
    twice = _twice([waiver.check for waiver in gates.waivers])
    if twice is not None:
        raise GateError(
            f"The gate file {shown(str(path))} waives {shown(twice)} twice: leave one of them out."
        )
    return gates


def _checked(found: Mapping[str, Any], path: Path) -> GateFile:
    try:
        return GateFile.model_validate(found)
    except ValidationError as error:
        # A misspelt key is missing, too; what was meant is said of the one that stands there.
        first = min(
            error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden"
        )
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = _nearest(first["loc"])
        raise GateError(f"The gate file {shown(str(path))}, {shown(field)}: {message}.") from None


def _nearest(location: tuple[int | str, ...]) -> str:
    """What was meant by an unknown key, and all that there are."""
    of: type[Stated] = GateFile
    if len(location) > 1:
        of = Gate if location[0] == "gates" else Waiver
    known = list(of.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
    return f"there is no such key; did you mean {close[0]}? There are {', '.join(known)}"


def _twice(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)
