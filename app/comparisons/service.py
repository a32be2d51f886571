"""Compares audits: finds them, reads their rows, and puts what follows together."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from app.audits import files
from app.audits import service as audits
from app.audits.report import CorpusClips, Report
from app.audits.result import AuditResult, BeforeAfter
from app.comparisons.differences import differences
from app.comparisons.reading import Findings, by_recording, outcomes, same_index
from app.comparisons.schemas import (
    LETTERS,
    CommonGround,
    ComparedAudit,
    Comparison,
    ComparisonRequest,
    LeftOut,
    link,
)
from app.errors import Conflict, FieldProblem, Gone, Invalid, NotFound, Unavailable
from app.jobs import service as jobs
from app.jobs.schemas import Job as JobResource
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from models.audit.checks import Evidence
from models.audit.comparison import (
    Common,
    IncomparableError,
    Outcomes,
    case_of,
    common,
    crossed,
    deltas,
    ranking,
)

MOST_ANSWERS: Final = 10_000_000
"""Clips times points, of all audits of a comparison: some 90 MB while it is made."""
COMPARING: Final = threading.BoundedSemaphore(2)
"""Each reads the rows of up to five audits and keeps a core busy for seconds."""


@dataclass(frozen=True)
class Found:
    """An audit that has succeeded.

    Attributes:
        job: its row.
        findings: where they lie.
    """

    job: Job
    result: AuditResult
    report: Report
    findings: Findings


def compare(
    session: Session, storage: Storage, request: ComparisonRequest, *, owner: str
) -> Comparison:
    """Audits beside each other, or the state of those that have not ended.

    Raises:
        NotFound, Gone: one of the audits is not there, or its findings are not.
        Invalid: one has failed or was cancelled, or they have nothing to be compared by.
        Unavailable: two comparisons are being made.
    """
    rows = [_audit(session, place, one, owner) for place, one in enumerate(request.audits)]
    compared = [_compared(job, LETTERS[place]) for place, job in enumerate(rows)]
    answer = Comparison(
        status="waiting", url=request.url, audits=compared, baseline=request.baseline
    )
    for place, job in enumerate(rows):
        _check_ended_well(place, job)
    if any(job.status is not JobStatus.SUCCEEDED for job in rows):
        return answer
    found = [
        _found(session, storage, place, one, owner) for place, one in enumerate(request.audits)
    ]
    session.rollback()  # no connection is held while rows are read
    _check_size(found)
    with _alone():
        return _done(answer, request, found, _outcomes(storage, found))


def _audit(session: Session, place: int, audit: str, owner: str) -> Job:
    try:
        return jobs.get(session, audit, owner=owner, kind=JobKind.AUDIT)
    except (NotFound, Gone) as error:
        remedy = "give audits that GET /v1/audits lists"
        error.errors = [
            FieldProblem.of(f"audits.{place}", audit, error.detail.removesuffix("."), remedy)
        ]
        raise


def _compared(job: Job, letter: str) -> ComparedAudit:
    told = JobResource.of(job)
    return ComparedAudit(
        id=told.id,
        name=letter,
        model=told.model,
        status=told.status,
        progress=told.progress,
        created_at=told.created_at,
        evidence=None if job.result is None else job.result.get("evidence"),
        url=told.urls.self,
    )


def _check_ended_well(place: int, job: Job) -> None:
    """Refuse an audit that has ended without findings.

    Raises:
        Invalid: naming it.
    """
    if job.status.terminal and job.status is not JobStatus.SUCCEEDED:
        raise Invalid.of(
            f"audits.{place}",
            job.id,
            f"it is {job.status} and has found nothing",
            "leave it out, or submit it again and give the new one",
            code="audit_without_findings",
        )


def _found(session: Session, storage: Storage, place: int, audit: str, owner: str) -> Found:
    try:
        job, folder = audits.findings(session, storage, audit, owner=owner)
    except (NotFound, Conflict) as error:  # its files are gone
        remedy = "leave it out, or submit it again and give the new one"
        error.errors = [FieldProblem.of(f"audits.{place}", audit, error.detail, remedy)]
        raise
    findings = Findings(audit, folder)
    return Found(job, AuditResult.model_validate(job.result), findings.report(), findings)


def _check_size(found: Sequence[Found]) -> None:
    """Refuse what would take too much memory and time.

    Raises:
        Invalid: the audits have too many rows and points together.
    """
    answers = sum(one.result.n * (1 + len(one.result.curve)) for one in found)
    if answers > MOST_ANSWERS:
        raise Invalid.of(
            "audits",
            f"{len(found)} audits",
            f"together they have {answers} clips at points, more than the {MOST_ANSWERS} that are"
            " compared at once",
            "give fewer audits",
            code="too_large_to_compare",
        )


@contextmanager
def _alone() -> Iterator[None]:
    if not COMPARING.acquire(blocking=False):
        raise Unavailable(
            "Two comparisons are being made already. Send this one again later.",
            code="comparisons_busy",
            retry_after=2,
        )
    try:
        yield
    finally:
        COMPARING.release()


def _outcomes(storage: Storage, found: Sequence[Found]) -> list[Outcomes]:
    """The rows of all audits, if their clips can be told to be the same.

    Raises:
        Invalid: they cannot.
    """
    uploaded = [not isinstance(one.report.clips, CorpusClips) for one in found]
    for place, one in enumerate(found):
        _check_source(storage, found[0], one, place)
    return [
        outcomes(
            one.job.id,
            one.result,
            one.findings.rows(),
            by_recording(storage, one.job.id) if is_uploaded else None,
        )
        for one, is_uploaded in zip(found, uploaded, strict=True)
    ]


def _check_source(storage: Storage, first: Found, other: Found, place: int) -> None:
    """Refuse clips of different corpora: they are different, though their names be the same.

    Raises:
        Invalid: naming the audit whose clips are others than those of the first one.
    """
    one, another = _source(first.report), _source(other.report)
    if one == another:
        return
    if one is not None and another is not None and same_index(storage, one, another):
        return
    raise _no_common_clips(
        place,
        other.job.id,
        f"its clips are {_told(another)}, and those of the first audit are {_told(one)}",
    )


def _source(report: Report) -> str | None:
    """The corpus; None of uploaded clips."""
    return report.clips.corpus if isinstance(report.clips, CorpusClips) else None


def _told(corpus: str | None) -> str:
    return "uploaded ones" if corpus is None else f"of {corpus}"


def _no_common_clips(place: int, audit: str, message: str) -> Invalid:
    return Invalid.of(
        f"audits.{place}",
        audit,
        message,
        "compare audits of the same partition of the same corpus",
        code="no_common_clips",
    )


def _done(
    answer: Comparison,
    request: ComparisonRequest,
    found: Sequence[Found],
    read: Sequence[Outcomes],
) -> Comparison:
    try:
        shared = common(read)
    except IncomparableError as error:
        raise Invalid.of(
            f"audits.{error.audit}",
            found[error.audit].job.id,
            str(error),
            error.remedy,
            code=error.code,
        ) from error
    pairs = request.pairs()
    compared = deltas(shared, pairs, request.figures)
    return answer.model_copy(
        update={
            "status": "done",
            "common": common_ground(shared),
            "comparisons": sum(one.p is not None for one in compared),
            "differs": differences(
                {one.job.id: one.report for one in found}, all_fields=request.all
            ),
            "ranking": ranking(
                compared,
                {one.id: one.name for one in answer.audits},
                invalid=[one.id for one in answer.audits if one.evidence == "invalid"],
            ),
            "deltas": compared,
            "crossed": crossed(shared, pairs),
            "warnings": [
                *doubts({one.name: one.evidence for one in answer.audits}),
                *_warnings(found, shared),
            ],
        }
    )


def common_ground(shared: Common) -> CommonGround:
    """What the audits have in common, in numbers."""
    left_out = [
        LeftOut(
            audit=one.name,
            clips=len(one) - len(shared),
            points=[case_of(key).words for key in one.keys if key not in shared.keys],
        )
        for one in shared.outcomes
    ]
    return CommonGround(
        clips=len(shared),
        speakers=shared.n_speakers,
        points=len(shared.keys),
        left_out=[one for one in left_out if one.clips or one.points],
    )


def before_after(
    before: Job,
    storage: Storage,
    after: Outcomes,
    evidence: Evidence | None,
    warn: Callable[[str], None],
) -> BeforeAfter:
    """What hardening has changed, for the result of the audit of the hardened model.

    It is kept there because the first audit may be deleted before anybody asks; the differences of
    single attacks are left to the link, so that the result stays small.

    Args:
        evidence: of the audit after.
        warn: is told what speaks against relying on the evidence of the two.

    Raises:
        IncomparableError: the models have other labels, or the audits have no clip in common.
        OSError: the rows of the first audit are gone.
    """
    folder = storage.published(files.attempt_dir(storage, before.id, before.attempt))
    result = AuditResult.model_validate(before.result)
    first = outcomes(before.id, result, Findings(before.id, folder).rows())
    shared = common([first, after])
    compared = deltas(shared, [(0, 1)])
    names = {before.id: "the model before", after.name: "the hardened one"}
    worth = {before.id: result.evidence, after.name: evidence}
    for doubt in doubts({names[audit]: one for audit, one in worth.items()}):
        warn(doubt)
    return BeforeAfter(
        baseline=before.id,
        url=link([before.id, after.name], before.id),
        clips=len(shared),
        speakers=shared.n_speakers,
        comparisons=sum(one.p is not None for one in compared),
        ranking=ranking(
            compared, names, invalid=[audit for audit, one in worth.items() if one == "invalid"]
        ),
        deltas=[one for one in compared if one.case != "point"],
    )


def doubts(evidence: Mapping[str, Evidence | None]) -> list[str]:
    """What speaks against relying on a comparison because of the audits' evidence.

    Args:
        evidence: by what the audit is called; None of one from before there were checks.
    """
    told: list[str] = []
    for name, worth in evidence.items():
        if worth == "invalid":
            told.append(
                f"The evidence of {name} is invalid: nothing can be concluded from its figures nor"
                " from their differences, and it is not ranked. Mend what its checks found."
            )
        elif worth is None:
            told.append(
                f"What the evidence of {name} is worth is not known, because its audit is from"
                " before there were checks: audit the model again."
            )
    return told


def _warnings(found: Sequence[Found], shared: Common) -> list[str]:
    """What a reader should know before he believes a difference."""
    told = []
    if not shared.keys:
        told.append(
            "The audits have no attack at the same strength with the same parameters in common:"
            " only clean clips are compared."
        )
    for one, letter in zip(found, LETTERS, strict=False):
        if not one.result.complete:
            told.append(
                f"{letter} ended before everything was scored: clips that it did not come to are"
                " left out of all audits, point by point."
            )
    corpora = {_source(one.report) for one in found}
    if len(corpora) > 1:
        told.append(
            "The audits are of several corpora that list the same clips: that the recordings are"
            " the same too was not looked at."
        )
    return told
