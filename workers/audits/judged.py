"""The verdict on an audit, when all is scored and written."""

from itertools import islice
from pathlib import Path

from app.audits.remedies import without_refused
from app.audits.report import CorpusClips
from app.audits.result import AuditResult
from models.audit.checks import Observed, judge
from models.provenance import Provenance
from workers.audits.probe import MOST, SilenceCounter, probe
from workers.audits.scored import Scored
from workers.audits.setup import Setup
from workers.audits.written import written


def judge_result(
    result: AuditResult,
    setup: Setup,
    scored: Scored,
    silence: SilenceCounter,
    artifacts: Path,
) -> None:
    """Put evidence, finding and checks into a result.

    Args:
        silence: of all clips.
        artifacts: the folder of what was written.
    """
    clips = setup.clips
    request = setup.request.to_request()
    found = judge(
        Observed(
            summary=result,
            columns=scored.summary.columns,
            attacks=setup.audit.attacks,
            request=request,
            clips=clips.known,
            corpus=clips.description.corpus if isinstance(clips.description, CorpusClips) else None,
            training=Provenance.of(setup.entry.config),
            probe=probe(setup.audit, list(islice(scored.record.rows(), MOST)), silence),
            written=written(artifacts, setup.audit.attacks),
        )
    )
    result.evidence, result.finding = found.evidence, found.finding
    result.checks = without_refused(request, found.checks)
