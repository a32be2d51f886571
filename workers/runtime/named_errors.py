"""Errors that have a name: what the owner of a job is told of them, and can act on."""

from typing import Any

import structlog

from app.errors import STORAGE_FULL, ServalError
from app.persistence.disk import is_full
from app.persistence.storage import FilesNotVisible
from models.audit import AuditError
from models.checkpoint import CheckpointError
from models.corpus.manifest import CorpusError
from models.memory import is_out_of_memory
from workers.runtime.outcome import JobFailed

log = structlog.get_logger("workers.run")


def named(error: Exception) -> dict[str, Any] | None:
    """The error of the job, {code, message, …}, which goes to the log, too; None of one without a
    name."""
    match error:
        case JobFailed():
            log.info("failed", code=error.code, reason=str(error))
            return {"code": error.code, "message": str(error), **error.details}
        case AuditError() | CheckpointError() | CorpusError():
            log.info("failed", code=error.code, reason=str(error))
            return {"code": error.code, "message": str(error)}
        case ServalError() if error.status < 500 or isinstance(error, FilesNotVisible):
            log.info("failed", code=error.code, reason=error.detail)
            return {"code": error.code, "message": error.detail}
        case FloatingPointError():
            log.info("failed", code="diverged", reason=str(error))
            return {"code": "diverged", "message": str(error)}
        case RuntimeError() | MemoryError() if is_out_of_memory(error):
            log.warning("failed", code="out_of_memory", reason=str(error))
            return {
                "code": "out_of_memory",
                "message": "The memory did not suffice. Ask for a smaller batch_size, or for fewer"
                " clips.",
            }
        case _ if is_full(error):
            log.error("failed", code="storage_full", reason=str(error))
            return {"code": "storage_full", "message": f"{STORAGE_FULL} Submit the job again then."}
    return None
