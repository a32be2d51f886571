"""`serval gate`, and gates of `serval audit`: five exit codes, and what stands beside each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from sqlalchemy.orm import Session

from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.persistence.database import connect, sessions
from app.settings import Settings
from tests.app.cli.conftest import Said, Serval
from tests.app.gates.results import check, result
from tests.recorded import record
from workers.runtime.context import WorkerContext

FAILS, PASSES = "worst_uar@0.02.low < 0.9", "worst_uar@0.02.low < 0.1"
AWAY = "http://127.0.0.1:1"

Audited = Callable[..., str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without gates of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def audited(session: Session, settings: Settings, url: str) -> Audited:
    """`audited()` gives the id of an audit with these fields of its result; with ``status`` it
    ended otherwise."""

    def audited(status: str = "succeeded", **fields: Any) -> str:
        wanted = Submission(JobKind.AUDIT, "local", {"model": "tiny-a"}, model="tiny-a")
        job = record(session, wanted)
        if status != "succeeded":
            job.status = JobStatus(status)
            job.error = {"code": "out_of_memory", "message": "The device has too little memory."}
            session.commit()
            return job.id
        engine = connect(settings.database_url)
        attempt = claim(sessions(engine), job.id)
        assert attempt is not None
        attempt.succeed(result(**fields))
        engine.dispose()
        return job.id

    return audited


Outcome = tuple[tuple[str, ...], dict[str, Any], int, str]

TABLE: dict[str, Outcome] = {
    "passed": (("--fail-if", PASSES), {}, 0, "passed"),
    "failed": (("--fail-if", PASSES, "--fail-if", FAILS), {}, 1, "failed"),
    "an unknown name": (("--fail-if", "worst_war@0.02 < 1"), {}, 2, "cannot be asked"),
    "no condition": (("--fail-if", "worst_uar"), {}, 2, "cannot be asked"),
    "no gate": ((), {}, 2, "cannot be asked"),
    "no such gate file": (("--gate", "none.toml"), {}, 2, "cannot be asked"),
    "a failed audit": (("--fail-if", PASSES), {"status": "failed"}, 3, "nothing to judge"),
    "a cancelled audit": (("--fail-if", PASSES), {"status": "cancelled"}, 3, "nothing to judge"),
    "invalid evidence": (("--fail-if", PASSES), {"evidence": "invalid"}, 3, "nothing to judge"),
    "unchecked evidence": (("--fail-if", PASSES), {"evidence": None}, 3, "nothing to judge"),
    "invalid evidence, allowed": (
        ("--fail-if", PASSES, "--allow-invalid"), {"evidence": "invalid"}, 0, "passed",
    ),
    "no service": (
        ("--fail-if", PASSES, "--url", AWAY), {}, 4, "the service does not answer",
    ),
}  # fmt: skip


class TestExitCodes:
    @pytest.mark.parametrize("name", TABLE)
    def test_are_five_and_output_junit_and_markdown_say_the_same(
        self, serval: Serval, audited: Audited, elsewhere: Path, name: str
    ) -> None:
        options, made, code, word = TABLE[name]
        audit = audited(**made)
        written = ("--junit", "serval.xml", "--markdown", "serval.md")
        said = serval("gate", audit, *options, *written)
        assert said.status == code, said
        assert f"gates: {word} (" in said.out + said.err
        assert f"exit code {code})" in said.out + said.err
        read = JUnitXml.fromfile(str(elsewhere / "serval.xml"))
        assert (read.failures > 0) == (code == 1)
        assert (read.errors > 0) == (code in {2, 3, 4})
        assert f"Exit code {code}." in (elsewhere / "serval.md").read_text()
        told = json.loads(serval("gate", audit, *options, "--json").out)
        assert told["exit_code"] == code

    def test_what_was_written_before_does_not_outlive_a_run_that_cannot_ask(
        self, serval: Serval, audited: Audited, elsewhere: Path
    ) -> None:
        audit = audited()
        serval("gate", audit, "--fail-if", PASSES, "--junit", "serval.xml")
        assert JUnitXml.fromfile("serval.xml").errors == 0
        serval("gate", audit, "--fail-if", PASSES, "--junit", "serval.xml", "--url", AWAY)
        assert JUnitXml.fromfile("serval.xml").errors == 1
        assert [path.name for path in elsewhere.iterdir()] == ["serval.xml"]

    def test_an_unknown_audit_is_2(self, serval: Serval, url: str) -> None:
        said = serval("gate", "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF", "--fail-if", PASSES)
        assert (said.status, said.out) == (2, "")
        assert "Not found" in said.err

    @pytest.mark.parametrize("audit", ["../../healthz", "..", "?"])
    def test_what_is_no_id_is_2_and_asked_of_nobody(self, serval: Serval, audit: str) -> None:
        said = serval("gate", audit, "--fail-if", PASSES)
        assert (said.status, said.out) == (2, "")
        assert f"{audit!r} is no id" in said.err

    def test_a_file_that_cannot_be_written_is_2_before_anything_is_asked(
        self, serval: Serval
    ) -> None:
        said = serval("gate", "audit_X", "--fail-if", PASSES, "--junit", "no/such.xml")
        assert said.status == 2
        assert "no/such.xml cannot be written" in said.err


class TestGateFile:
    @pytest.fixture
    def gates(self, elsewhere: Path) -> Path:
        path = elsewhere / "serval-gate.toml"
        path.write_text(
            f'evidence = "sound"\n[[gates]]\nfail_if = "{FAILS}"\n[[waivers]]\n'
            'check = "one_gender"\nreason = "Men alone call here."\nuntil = 2999-01-01\n'
        )
        return path

    def test_of_this_folder_is_read_by_itself(
        self, serval: Serval, audited: Audited, gates: Path
    ) -> None:
        audit = audited(evidence="weak", checks=[check("one_gender")])
        said = serval("gate", audit)
        assert said.status == 1
        assert said.out.splitlines()[0].startswith("waiver   one_gender until 2999-01-01 (applied)")

    def test_options_count_before_it(self, serval: Serval, audited: Audited, gates: Path) -> None:
        audit = audited(evidence="weak", checks=[check("one_gender"), check("fgsm_alone")])
        said = serval("gate", audit, "--fail-if", PASSES)
        assert said.status == 1  # the evidence has to be sound
        said = serval("gate", audit, "--fail-if", PASSES, "--evidence", "weak")
        assert said.status == 0, said
        assert "waiver   one_gender" in said.out

    def test_a_waiver_that_is_over_is_2(
        self, serval: Serval, audited: Audited, gates: Path
    ) -> None:
        gates.write_text(gates.read_text().replace("2999", "2025"))
        said = serval("gate", audited(checks=[check("one_gender")]), "--gate", gates)
        assert said.status == 2
        assert "The waiver of 'one_gender' was until 2025-01-01" in said.err


class TestAuditWithGates:
    def audit(self, serval: Serval, *options: object) -> Said:
        return serval(
            "audit", "--model", "tiny-a", "--corpus", "speech", "--partition", "all",
            "--attack", "fgsm", "--attack", "noise", "--epsilon", "0.02", *options,
        )  # fmt: skip

    @pytest.fixture
    def corpus(self, serval: Serval, url: str, speech: Path) -> None:
        labels = ("--label", "anger=cross", "--label", "neutral=calm")
        assert serval("corpus", "add", speech, *labels).status == 0

    def test_ends_with_the_verdict_below_the_table(
        self, serval: Serval, corpus: None, worker: WorkerContext
    ) -> None:
        said = self.audit(serval, "--fail-if", "worst_uar@0.02 > 1", "--allow-invalid")
        assert said.status == 0, said
        assert said.out.index("worst case") < said.out.index("gates: passed")
        said = self.audit(serval, "--fail-if", "worst_uar@0.02 >= 0", "--allow-invalid", "--json")
        assert said.status == 1
        assert json.loads(said.out)["cases"][1]["outcome"] == "failed"

    def test_what_does_not_hold_is_told_of_before_anything_is_queued(
        self, serval: Serval, corpus: None
    ) -> None:
        for options in (
            ("--fail-if", "worst_uar"),
            ("--fail-if", PASSES, "--no-wait"),
            ("--fail-if", PASSES, "--dry-run"),
            ("--gate", "none.toml"),
        ):
            assert self.audit(serval, *options).status == 2

    def test_without_gates_the_exit_codes_are_as_they_were(self, serval: Serval, url: str) -> None:
        assert self.audit(serval, "--url", AWAY).status == 1
        assert self.audit(serval, "--fail-if", PASSES, "--url", AWAY).status == 4
