"""How well does a model withstand attacks? Runs them, keeps the evidence, adds it up.

``runner`` makes the evidence of a chunk of clips, ``summary`` adds rows up, ``worst_case`` and
``minimum`` say what all attacks together and the smallest of them do, ``forecast`` what it will
cost.
"""

from models.audit.clips import ClipFacts, Clips
from models.audit.errors import AuditError
from models.audit.evidence import AuditRow, ClipPrediction
from models.audit.result import AuditSummary
from models.audit.runner import Audit, ScoredPoint
from models.audit.summary import Summary, points, summarize

__all__ = [
    "Audit",
    "AuditError",
    "AuditRow",
    "AuditSummary",
    "ClipFacts",
    "ClipPrediction",
    "Clips",
    "ScoredPoint",
    "Summary",
    "points",
    "summarize",
]
