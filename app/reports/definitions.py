"""What each figure of a report is, in the words of the measures themselves."""

import re
from dataclasses import dataclass
from typing import Final

from app.audits.result import AuditResult
from models.audit.figure import METHODS
from models.audit.measures import BREAKDOWNS, MEASURES
from models.audit.measures.measure import Defined

NAMES: Final = {
    "uar": "UAR",
    "uar_drop": "UAR lost",
    "success_rate": "success",
    "over_control": "over control",
    "flip_rate": "flips",
    "wrong_after": "wrong after",
    "ece": "ECE",
    "brier": "Brier score",
    "detector_auc": "detector AUC",
    "stoi": "STOI",
}
"""In tables; other figures are called as in the result."""


@dataclass(frozen=True)
class Definition:
    """A figure, defined.

    Attributes:
        anchor: of the place in the page.
        field: in the result.
    """

    anchor: str
    name: str
    field: str
    definition: str
    formula: str
    source: str


def called(name: str) -> str:
    """What a measure is called in a table."""
    return NAMES.get(name, name.replace("_", " "))


def definitions() -> list[Definition]:
    """All that there are, by name."""
    measures = [_of(name, "measures", one) for name, one in sorted(MEASURES.items())]
    others = [_of(name, one.shown_in, one) for name, one in sorted(BREAKDOWNS.items())]
    return [*measures, *others]


def methods(result: AuditResult) -> list[tuple[str, str]]:
    """How the intervals of a result are made: name and words."""
    used = set(re.findall(r'"method":"([a-z_]+)"', result.model_dump_json()))
    return [(name, text) for name, text in METHODS.items() if name in used]


def _of(name: str, field: str, one: type[Defined]) -> Definition:
    return Definition(
        anchor=f"def-{name}",
        name=called(name),
        field=f"{field}.{name}" if field == "measures" else field.replace("`", ""),
        definition=one.definition,
        formula=one.formula,
        source=one.source,
    )
