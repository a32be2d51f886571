"""JUnit, Markdown, text and JSON are the same verdict."""

import itertools
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml, TestSuite

from app.gates import text
from app.gates.junit import junit
from app.gates.markdown import MOST_CHARACTERS, markdown
from app.gates.verdict import AppliedWaiver, Case, ExitCode, Verdict, failure

HOSTILE = [
    "<script>alert(1)</script>.wav",
    "]](javascript:alert(1)).wav",
    "@everyone #1 closes #2",
    "--><img src=x onerror=alert(1)>",
    "`` ` ```\n# heading\n| a | b |",
    "\x00\x1b[31m\x0b\ufffe\ud800]]>&lt;",
    "\u202egnp.exe",
    "愤怒 😡 'quotes\" & more",
    "x" * 10_000,
]


def case(outcome: str, name: str = "uar < 1", **more: Any) -> Case:
    return Case.model_validate(
        {"kind": "gate", "name": name, "outcome": outcome, "message": "m"} | more
    )


def every_verdict() -> list[Verdict]:
    """Of all sets of outcomes, and of all that goes wrong before there is one."""
    outcomes = ("failed", "error", "skipped", "passed")
    sets = [some for n in range(1, 5) for some in itertools.combinations(outcomes, n)]
    found = [Verdict(cases=[case(one) for one in some]) for some in sets]
    return [*found, failure(ExitCode.USAGE, "no name"), failure(ExitCode.UNREACHABLE, "away")]


def hostile() -> Verdict:
    """300 gates and more, with whatever names somebody's files have."""
    cases = [
        case(outcome, name=name, message=name, remedy=name, request={name: name})
        for outcome in ("passed", "skipped", "failed", "error")
        for name in [*HOSTILE, *(f"uar:fgsm@0.{n} < 0.3" for n in range(66))]
    ]
    waivers = [
        AppliedWaiver(check=name, reason=name, until=date(2027, 3, 1), effect="applied")
        for name in HOSTILE
    ]
    return Verdict(
        model=HOSTILE[0], audit=HOSTILE[3], finding=HOSTILE[2], waivers=waivers, cases=cases
    )


def read_back(written: str, tmp_path: Path) -> JUnitXml:
    path = tmp_path / "serval.xml"
    path.write_text(written, encoding="utf-8")
    return JUnitXml.fromfile(str(path))


class TestTheyAgree:
    @pytest.mark.parametrize("verdict", every_verdict(), ids=lambda one: str(one.exit_code))
    def test_on_what_the_exit_code_says(self, verdict: Verdict, tmp_path: Path) -> None:
        read = read_back(junit(verdict), tmp_path)
        assert read.failures == verdict.count("failed")
        assert (read.failures > 0) == (verdict.exit_code == ExitCode.FAILED)
        assert (read.errors > 0 or read.failures > 0) == (verdict.exit_code != ExitCode.PASSED)
        assert f"Exit code {verdict.exit_code}." in markdown(verdict)
        assert ("✅ Robustness" in markdown(verdict)) == (verdict.exit_code == ExitCode.PASSED)
        assert list(text.lines(verdict))[-1].startswith(f"gates: {verdict.word} (")
        told = json.loads(verdict.model_dump_json())
        assert told["exit_code"] == verdict.exit_code


class TestJUnit:
    def test_each_case_is_a_test_with_its_remedy_in_the_body(self, tmp_path: Path) -> None:
        one = case("failed", kind="check", name="small_class", remedy="Take all clips.",
                   request={"limit": None})  # fmt: skip
        read = read_back(junit(Verdict(cases=[one, case("passed")])), tmp_path)
        (suite,) = read
        assert isinstance(suite, TestSuite)
        failed, passed = suite
        assert (failed.classname, failed.name) == ("serval.check", "small_class")
        (result,) = failed.result
        assert result.message == "m"
        assert "Remedy: Take all clips." in result.text
        assert '{"limit": null}' in result.text
        assert passed.is_passed

    def test_waivers_come_first(self, tmp_path: Path) -> None:
        waiver = AppliedWaiver(
            check="small_class", reason="Four clips.", until=date(2027, 3, 1), effect="applied"
        )
        (suite,) = read_back(
            junit(Verdict(audit="audit_X", waivers=[waiver], cases=[case("passed")])), tmp_path
        )
        assert isinstance(suite, TestSuite)
        first, second, *_ = suite.properties()  # type: ignore[no-untyped-call]
        assert (first.name, first.value) == (
            "waiver small_class",
            "applied; until 2027-03-01: Four clips.",
        )
        assert (second.name, second.value) == ("audit", "audit_X")

    def test_hostile_names_are_read_back_without_what_xml_cannot_hold(self, tmp_path: Path) -> None:
        read = read_back(junit(hostile()), tmp_path)
        (suite,) = read
        assert isinstance(suite, TestSuite)
        assert len(list(suite)) == 300
        names = {test.name for test in suite}
        assert {"<script>alert(1)</script>.wav", "愤怒 😡 'quotes\" & more"} <= names
        assert "[31m]]>&lt;" in names


class TestMarkdown:
    def test_300_gates_with_hostile_names_fit_in_a_comment(self) -> None:
        written = markdown(hostile())
        assert len(written) <= MOST_CHARACTERS
        assert written.count("\n- ❌") == 75
        assert "left out" not in written

    def test_what_is_left_out_is_counted_and_the_worst_is_kept(self) -> None:
        cases = [case("passed", name=f"p{n}", message="x" * 500) for n in range(300)]
        written = markdown(Verdict(cases=[*cases, case("failed", name="worst")]))
        assert len(written) <= MOST_CHARACTERS
        assert written.index("`worst`") < written.index("`p0`")
        kept = written.count("- ✅ ")
        assert f"{300 - kept} more are left out here for want of room: {300 - kept} passed." in (
            written
        )

    def test_names_are_shown_and_do_nothing(self) -> None:
        for name in HOSTILE[:7]:
            one = case("failed", name=name, message=name, remedy=name)
            body = markdown(Verdict(cases=[one])).split("\n- ", 1)[1]
            assert "<script" not in body.replace("`<script>alert(1)</script>.wav`", "")
            assert "](" not in body.replace("`]](javascript:alert(1)).wav`", "")
            assert "@everyone" not in body.replace("`@everyone #1 closes #2`", "")
            assert body.count("\n") == 2  # the case and its remedy: no name ends a line
            assert not any(letter in body for letter in "\x00\x1b\u202e")

    def test_a_bot_finds_its_comment_by_a_marker_of_the_model(self) -> None:
        one = markdown(Verdict(model="a --> <b>", cases=[case("passed")])).splitlines()[0]
        assert one == "<!-- serval-gate:a___b_ -->"
        other = markdown(Verdict(cases=[case("passed")])).splitlines()[0]
        assert other == "<!-- serval-gate -->"

    def test_waivers_come_before_the_cases(self) -> None:
        written = markdown(hostile())
        assert written.index("**Waivers**") < written.index("- ❌")


class TestText:
    def test_no_name_is_obeyed_by_a_terminal(self) -> None:
        lines = list(text.lines(hostile()))
        assert not any(letter in line for line in lines for letter in "\x00\x1b\n\u202e")
        "\n".join(lines).encode()

    def test_waivers_come_first_and_the_verdict_last(self) -> None:
        lines = list(text.lines(hostile()))
        assert lines[0].startswith("waiver ")
        assert lines[-1] == (
            "gates: failed (75 failed, 75 error, 75 skipped, 75 passed; exit code 1)"
        )
