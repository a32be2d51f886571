"""`serval gate --baseline`: differences from another audit, as a comparison takes them."""

import json
from pathlib import Path

import pytest

from app.cli import gate as command
from tests.app.cli.conftest import Serval
from workers.runtime.context import WorkerContext

AUDIT = ("audit", "--corpus", "speech", "--partition", "all", "--json")
ATTACKS = ("--attack", "fgsm", "--attack", "noise", "--epsilon", "0.1")


@pytest.fixture
def audits(
    serval: Serval, url: str, worker: WorkerContext, speech: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, str]:  # fmt: skip
    """Two audits of the same clips: of tiny-a, and of tiny-b."""
    labels = ("--label", "anger=cross", "--label", "neutral=calm")
    assert serval("corpus", "add", speech, *labels).status == 0
    monkeypatch.chdir(tmp_path)
    first, second = (
        str(json.loads(serval(*AUDIT, *ATTACKS, "--model", model).out)["id"])
        for model in ("tiny-a", "tiny-b")
    )
    return first, second


class TestBaseline:
    def test_differences_are_those_of_the_comparison(
        self, serval: Serval, audits: tuple[str, str]
    ) -> None:
        baseline, audit = audits
        gates = (
            "--fail-if", "delta_worst_uar@0.1 > 1",
            "--fail-if", "delta_clean_uar >= -1",
            "--fail-if", "delta_flip_rate:noise@0.1 > 1",
        )  # fmt: skip
        said = serval("gate", audit, "--baseline", baseline, *gates, "--allow-invalid", "--json")
        assert said.status == 1, said
        told = json.loads(said.out)
        assert told["baseline"] == baseline
        outcomes = [one["outcome"] for one in told["cases"] if one["kind"] == "gate"]
        assert outcomes == ["passed", "failed", "passed"]
        uars = [self.result(serval, one, "clean_uar") for one in (baseline, audit)]
        assert f"delta_clean_uar is {uars[1] - uars[0]:.4f} [" in told["cases"][2]["message"]

    def result(self, serval: Serval, audit: str, name: str) -> float:
        """A figure of an audit, as a gate reads it."""
        said = serval("gate", audit, "--fail-if", f"{name} < -1", "--allow-invalid", "--json")
        return float(json.loads(said.out)["cases"][1]["message"].split()[2])

    def test_a_name_that_the_two_have_not_in_common_is_2_with_those_that_they_have(
        self, serval: Serval, audits: tuple[str, str]
    ) -> None:
        baseline, audit = audits
        said = serval("gate", audit, "--baseline", baseline, "--fail-if", "delta_uar:pgd@0.1 < 0")
        assert said.status == 2
        assert "delta_uar:fgsm@0.1" in said.err

    @pytest.mark.parametrize(
        ("baseline", "told"),
        [("audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF", "Not found"), ("../jobs", "is no id")],
    )
    def test_a_baseline_that_is_not_there_is_2(
        self, serval: Serval, audits: tuple[str, str], baseline: str, told: str
    ) -> None:
        gates = ("--fail-if", "delta_clean_uar < 0", "--allow-invalid")
        said = serval("gate", audits[1], "--baseline", baseline, *gates)
        assert said.status == 2
        assert told in said.err

    def test_the_audit_itself_is_no_baseline(
        self, serval: Serval, audits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "PATIENCE_SECONDS", 0.0)
        said = serval("gate", audits[0], "--baseline", audits[0], "--fail-if", "clean_uar < 0")
        assert said.status == 2
        assert "twice" in said.err
