"""What a check is: it reads what is known of an audit, and says what speaks against relying on it.

A check is one class in one file of this folder, registered by its id. The result, the report, the
command line and `docs/checks.md` show whatever is registered.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Outcome, Severity
from models.catalogue import Catalogue


class Check(ABC):
    """One thing that may be wrong with an audit.

    Class attributes:
        id: stable, for waivers and programs.
        version: raised when the check would judge the same audit otherwise.
        title: what is wrong if it is raised, without a full stop.
        severity: what it does to the evidence if it is raised.
        reads: what it looks at, for the documents.
        raised_if: the condition, for the documents.
        remedy: what to do about it, for the documents; what a result says may be more exact.
        source: where it is from.
    """

    id: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    severity: ClassVar[Severity]
    reads: ClassVar[str]
    raised_if: ClassVar[str]
    remedy: ClassVar[str]
    source: ClassVar[str] = "Of this project."

    @abstractmethod
    def look(self, audit: Observed) -> Outcome:
        """What it finds. Whatever it raises makes it a check that was not run."""


CHECKS: Final[Catalogue[type[Check]]] = Catalogue("check")
"""All of them, by id."""
