"""What an audit found, in a terminal."""

from typing import Any

import pytest

from app.cli.audit_result import FEW_SPEAKERS, show_audit
from app.cli.errors import CliError
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.audit.checks import CheckResult, Remedy
from models.audit.result import Scale
from models.audit.summary import summarize
from tests.models.audit.rows import LABELS, row, under

JOB: dict[str, Any] = {"model": "mine", "warnings": ["test has men only."]}

CHECKS: list[dict[str, Any]] = [
    CheckResult(
        id=name, version=1, title="Few clips were right", severity="weak", status=status,
        measured="8 of 24 clips." if status == "raised" else None,
        reason=None if status == "raised" else "No attack.",
        remedy=Remedy(text="Audit more.") if status == "raised" else None,
    ).model_dump(mode="json")
    for name, status in (("few", "raised"), ("steps", "not_run"))
]  # fmt: skip


def result(speakers: int) -> dict[str, Any]:
    """Of an audit in which FGSM breaks every third clip, and noise none."""
    rows = []
    for clip in range(24):
        said = LABELS[clip % 3]
        wrong = "c" if said == "a" else said
        attacked = [
            under(0, 0.1, wrong, success=wrong != said),
            under(1, 0.1, said, success=False),
        ]
        rows.append(row(said, said, attacked, index=clip, speaker=f"s{clip % speakers}"))
    attacks = (Fgsm(epsilon=(0.1,)), Noise(epsilon=(0.1,)))
    scale = Scale(lowest=1, median=1, highest=1)
    found = summarize(rows, LABELS, attacks, of=24, scale=scale, seconds={})
    verdict = {"evidence": "weak", "finding": "UAR falls.", "checks": CHECKS}
    return found.model_dump(mode="json") | {"hardening": None, **verdict}


class TestShownAudit:
    def test_each_figure_stands_with_its_interval_and_its_control(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show_audit(result(speakers=8), JOB, [])
        shown = capsys.readouterr()
        words = " ".join(shown.out.split())
        assert "mine on 24 clips: UAR 1.000 [" in words
        assert "8 speakers" in words
        assert "0.333 [" in words
        assert "8/24" in words
        assert "worst case, features linf 0.1 sigma: UAR 0.667 [" in words
        assert FEW_SPEAKERS not in shown.out
        assert shown.err == "test has men only.\n"

    def test_the_evidence_and_the_finding_stand_first_and_then_what_is_raised_with_its_remedy(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show_audit(result(speakers=8), JOB, [])
        shown = capsys.readouterr().out.splitlines()
        assert shown[:5] == [
            "evidence: weak (1 of 2 checks raised, 1 not run)",
            "finding: UAR falls.",
            "weak: Few clips were right (few). 8 of 24 clips.",
            "  remedy: Audit more.",
            "not run: steps",
        ]

    def test_an_audit_from_before_there_were_checks_is_shown_without(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show_audit(result(8) | {"evidence": None, "finding": None, "checks": []}, JOB, [])
        assert "evidence" not in capsys.readouterr().out

    def test_intervals_of_few_speakers_are_called_too_narrow(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show_audit(result(speakers=2), JOB, [])
        assert FEW_SPEAKERS in capsys.readouterr().out

    def test_what_recordings_warn_of_is_counted(self, capsys: pytest.CaptureFixture[str]) -> None:
        warned = [{"code": "digital_silence", "clips": 7}, {"code": "level", "clips": 1}]
        show_audit(result(speakers=8) | {"warnings": warned}, JOB, [])
        told = capsys.readouterr().out
        assert "warnings, in clips of 24: digital_silence 7, level 1" in told
        show_audit(result(speakers=8), JOB, [])  # of which it is not known
        assert "warnings, in" not in capsys.readouterr().out

    def test_an_unknown_measure_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(CliError, match="--measure is 'wer'; the audit has accuracy, brier, "):
            show_audit(result(speakers=8), JOB, ["wer"])
