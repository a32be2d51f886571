"""What an audit is done with: the model, the clips, the attacks. The same for all its shards."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from app.audits import files
from app.audits.schemas import AnyAuditRequest, UploadedAuditRequest, parse_request
from app.audits.victim import batch_size, load_victim
from app.registry import service as registry
from app.registry.service import Entry
from models.audit import Audit
from workers.audits import detector
from workers.audits.clips import AuditClips, from_corpus, from_uploads
from workers.runtime import noises
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.retries import retry_while_database_is_away


class Asked(Protocol):
    """An attempt at the job, or at a shard of it."""

    job_id: str
    owner: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """What an audit is done with.

    Attributes:
        sources: models that transfer attacks are crafted on, by what the request calls them.
    """

    request: AnyAuditRequest
    entry: Entry
    clips: AuditClips
    audit: Audit
    sources: Mapping[str, Entry]

    @property
    def detector_sha256(self) -> str | None:
        """Of the weights of the detector that is asked; None if none is."""
        if self.entry.detector is None or not self.request.detector:
            return None
        return self.entry.detector.sha256


def set_up(context: WorkerContext, attempt: Asked) -> Setup:
    """Find it all.

    Raises:
        ServalError, CorpusError, JobFailed: the request cannot be fulfilled any more.
    """
    request = parse_request(attempt.request)
    entry = retry_while_database_is_away(lambda: _find(context, attempt, request.model))
    clips = _clips(context, attempt, request, entry)
    _check_recordings(request, clips)
    sources = _sources(context, attempt, request)
    return Setup(
        request, entry, clips, _audit(context, attempt, request, entry, clips, sources), sources
    )


def group_by(request: AnyAuditRequest) -> str | None:
    """The column of the corpus that figures are compared by, if one was asked for."""
    return None if isinstance(request, UploadedAuditRequest) else request.group_by


def _find(context: WorkerContext, attempt: Asked, model: str) -> Entry:
    with context.sessions() as session:
        return registry.get(session, context.storage, model, owner=attempt.owner)


def _clips(
    context: WorkerContext, attempt: Asked, request: AnyAuditRequest, entry: Entry
) -> AuditClips:
    if isinstance(request, UploadedAuditRequest):
        return from_uploads(
            context.storage.published(files.inputs_dir(context.storage, attempt.job_id)),
            entry.config,
        )

    def select() -> AuditClips:
        with context.sessions() as session:
            return from_corpus(session, context.storage, request, entry.config, owner=attempt.owner)

    return retry_while_database_is_away(select)


def _check_recordings(request: AnyAuditRequest, clips: AuditClips) -> None:
    """They were at hand when the audit was accepted."""
    if not clips.audible and any(one.domain == "waveform" for one in request.perturbations):
        raise JobFailed(
            "no_recordings",
            "The recordings of the corpus are not at hand any more, and an attack or a corruption"
            " changes waveforms. Upload the corpus again, or attack its features.",
        )


def _sources(context: WorkerContext, attempt: Asked, request: AnyAuditRequest) -> dict[str, Entry]:
    sources = {name for attack in request.attacks for name in attack.sources}
    return {
        name: retry_while_database_is_away(partial(_find, context, attempt, name))
        for name in sorted(sources)
    }


def _audit(
    context: WorkerContext,
    attempt: Asked,
    request: AnyAuditRequest,
    entry: Entry,
    clips: AuditClips,
    sources: Mapping[str, Entry],
) -> Audit:
    device = context.device()
    noises_found = noises.find(context, request.corruptions, owner=attempt.owner)
    return Audit(
        load_victim(context.storage, entry, request, device),
        clips,
        [*request.attacks, *(one.with_recordings(noises_found) for one in request.corruptions)],
        seed=request.seed,
        batch=batch_size(context.settings, entry.config.frames),
        others={
            name: load_victim(context.storage, one, request, device)
            for name, one in sources.items()
        },
        detector=detector.load(entry, device) if request.detector else None,
    )
