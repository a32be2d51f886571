"""Checks: what speaks against relying on an audit's figures, one a file.

A module of this folder that registers a class with ``@CHECKS.register(id)`` is found by itself.
"""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.judgement import Judgement, judge
from models.audit.checks.observed import Observed, Probe, Written
from models.audit.checks.outcome import (
    CheckResult,
    Clear,
    Evidence,
    NotRun,
    Outcome,
    Raised,
    Remedy,
    Severity,
)
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Clear",
    "Evidence",
    "Judgement",
    "NotRun",
    "Observed",
    "Outcome",
    "Probe",
    "Raised",
    "Remedy",
    "Severity",
    "Written",
    "judge",
]
