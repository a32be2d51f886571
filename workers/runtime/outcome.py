"""How the work of a job ends, as its code says it: with an outcome, or a failure of the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class JobResult:
    """A result that is ready to be published.

    Attributes:
        result: the job's result, JSON's types.
        publish: called in the transaction in which the job succeeds, before its row is written;
            what it answers joins the result. It may be called again after a failed commit. If the
            job was cancelled first, the transaction is rolled back.
    """

    result: dict[str, Any]
    publish: Callable[[Session], dict[str, Any]] | None = None


class JobFailed(Exception):
    """The job cannot be done, for a reason that its owner can act on.

    Attributes:
        code: stable name of the reason, for programs.
        details: values to show beside the message, JSON's types.
    """

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
