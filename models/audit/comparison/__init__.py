"""Audits beside each other: what they have in common, how they differ, and whether that ranks them.

``outcomes`` reads rows, ``common`` finds the clips and cases that all audits have, ``deltas`` takes
the differences, ``crossed`` the clips, and ``ranking`` says what follows.
"""

from models.audit.comparison.common_ground import Case, Common, case_of, common
from models.audit.comparison.crossed import Crossed, crossed
from models.audit.comparison.deltas import FIGURES, Delta, FigureName, deltas
from models.audit.comparison.errors import IncomparableError
from models.audit.comparison.outcomes import Outcomes, Row
from models.audit.comparison.ranking import Ranked, ranking

__all__ = [
    "FIGURES",
    "Case",
    "Common",
    "Crossed",
    "Delta",
    "FigureName",
    "IncomparableError",
    "Outcomes",
    "Ranked",
    "Row",
    "case_of",
    "common",
    "crossed",
    "deltas",
    "ranking",
]
