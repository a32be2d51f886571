"""From gates, checks and waivers to a verdict."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.gates.audit import Audit, Check, Evidence, Figure
from app.gates.errors import GateError
from app.gates.gate_file import Gate, Waiver
from app.gates.judging import BaselineAudit, Demands, judge
from app.gates.names import Term
from app.gates.verdict import Case, ExitCode, Verdict
from models.audit.checks import Check as Checked
from models.audit.checks import Observed, judgement
from tests.app.gates.results import answered, audit, check

TODAY = date(2027, 1, 15)
FAILS, PASSES = "worst_uar@0.02.low < 0.9", "worst_uar@0.02.low < 0.1"


def demands(*conditions: str, **more: Any) -> Demands:
    return Demands(gates=[Gate(fail_if=one) for one in conditions], today=TODAY, **more)


def waiver(check: str, until: date = TODAY) -> Waiver:
    return Waiver(check=check, reason="There are four clips of disgust.", until=until)


def case(verdict: Verdict, name: str) -> Case:
    (found,) = (one for one in verdict.cases if one.name == name)
    return found


class TestGates:
    def test_fail_where_their_condition_holds(self) -> None:
        verdict = judge(audit(), demands(FAILS, PASSES))
        assert [one.outcome for one in verdict.cases if one.kind == "gate"] == ["failed", "passed"]
        assert verdict.exit_code == ExitCode.FAILED
        figure = "worst_uar:features/linf@0.02 is 0.6667 ["
        assert figure in case(verdict, FAILS).message
        assert "(n = 24, 8 speakers)" in case(verdict, FAILS).message

    @pytest.mark.parametrize(
        ("bound", "value"), [("", 0.5), (".value", 0.5), (".low", 0.2), (".high", 0.7), (".n", 24)]
    )
    def test_hold_the_bound_that_they_name_against_their_number(
        self, bound: str, value: float
    ) -> None:
        told = answered()
        told["result"]["clean"]["measures"]["uar"] |= {"value": 0.5, "interval": [0.2, 0.7]}
        asked = demands(f"clean_uar{bound} < {value}", f"clean_uar{bound} <= {value}")
        verdict = judge(Audit.model_validate(told), asked)
        assert [one.outcome for one in verdict.cases[1:]] == ["passed", "failed"]

    def test_a_failed_one_says_why_it_is_there(self) -> None:
        gate = Gate(fail_if=FAILS, why="Callers are not to be taken for angry.")
        verdict = judge(audit(), Demands(gates=[gate], today=TODAY))
        assert "Callers are not to be taken for angry." in case(verdict, FAILS).message

    def test_a_figure_that_is_missing_cannot_be_judged(self) -> None:
        told = answered()
        told["result"]["clean"]["measures"]["uar"] |= {"value": None, "interval": None}
        verdict = judge(Audit.model_validate(told), demands("clean_uar < 0.9", PASSES))
        assert case(verdict, "clean_uar < 0.9").outcome == "error"
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE

    def test_a_gate_that_failed_outweighs_one_that_cannot_be_judged(self) -> None:
        told = answered()
        told["result"]["clean"]["measures"]["uar"]["value"] = None
        verdict = judge(Audit.model_validate(told), demands("clean_uar < 0.9", FAILS))
        assert verdict.exit_code == ExitCode.FAILED

    @pytest.mark.parametrize("condition", ["wer < 1", "uar@0.02 < 1", "uar:fgsm@3 < 1"])
    def test_an_unknown_or_ambiguous_name_is_refused(self, condition: str) -> None:
        with pytest.raises(GateError):
            judge(audit(), demands(condition))

    def test_without_any_there_is_nothing_to_pass(self) -> None:
        with pytest.raises(GateError, match="without one every audit would pass"):
            judge(audit(), demands())
        assert judge(audit(), demands(evidence="sound")).exit_code == ExitCode.PASSED


class TestEvidence:
    @pytest.mark.parametrize("evidence", ["invalid", None])
    def test_that_bears_nothing_lets_no_gate_pass_or_fail(self, evidence: str | None) -> None:
        verdict = judge(audit(evidence=evidence), demands(PASSES, FAILS))
        assert {one.outcome for one in verdict.cases} == {"error"}
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE

    @pytest.mark.parametrize(("condition", "code"), [(PASSES, 0), (FAILS, 1)])
    def test_that_is_invalid_is_judged_if_that_is_allowed(self, condition: str, code: int) -> None:
        told = audit(evidence="invalid", checks=[check("at_chance", "invalid")])
        verdict = judge(told, demands(condition, allow_invalid=True))
        assert verdict.exit_code == code
        assert case(verdict, "evidence").outcome == "skipped"
        assert "--allow-invalid" in case(verdict, "at_chance").message

    def test_that_is_weak_passes_and_its_checks_are_shown(self) -> None:
        told = audit(evidence="weak", checks=[check("small_class")])
        verdict = judge(told, demands(PASSES))
        assert verdict.exit_code == ExitCode.PASSED
        found = case(verdict, "small_class")
        assert (found.outcome, found.remedy) == ("skipped", "mend small_class")
        assert found.request == {"limit": None}
        assert "4 clips of disgust" in found.message

    def test_that_is_weak_fails_where_it_has_to_be_sound(self) -> None:
        told = audit(evidence="weak", checks=[check("small_class"), check("far", "note")])
        verdict = judge(told, demands(PASSES, evidence="sound"))
        assert verdict.exit_code == ExitCode.FAILED
        assert case(verdict, "small_class").outcome == "failed"
        assert case(verdict, "far").outcome == "skipped"  # a note leaves the evidence as it is

    def test_a_check_that_failed_itself_cannot_be_called_sound(self) -> None:
        broken = check("far", status="not_run", measured=None, failed=True)
        told = audit(evidence="weak", checks=[broken])
        verdict = judge(told, demands(PASSES, evidence="sound"))
        assert case(verdict, "far").outcome == "error"
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE
        assert judge(told, demands(PASSES)).exit_code == ExitCode.PASSED

    def test_what_the_checks_say_of_one_that_failed_is_known_for_it(self) -> None:
        class Broken(Checked):
            id, title, severity = "broken", "It is broken", "note"

            def look(self, audit: Observed) -> Any:
                raise KeyError("of a check")

        outcome, failed = judgement._looked(Broken, Observed.__new__(Observed))
        said = judgement._result(Broken, outcome, failed=failed).model_dump()
        assert failed
        assert Check.model_validate(said).failed
        absent = check("speakers", status="not_run", measured=None, reason="The model names none")
        assert not Check.model_validate(absent).failed

    def test_a_check_that_does_not_apply_is_no_fault(self) -> None:
        absent = check("speakers", status="not_run", measured=None, reason="The model names none")
        told = audit(checks=[absent])
        verdict = judge(told, demands(PASSES, evidence="sound"))
        assert verdict.exit_code == ExitCode.PASSED
        assert case(verdict, "speakers").outcome == "skipped"
        assert "The model names none" in case(verdict, "speakers").message

    def test_that_is_weak_for_no_reason_that_is_known_is_not_sound(self) -> None:
        verdict = judge(audit(evidence="weak"), demands(evidence="sound"))
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE


class TestBaseline:
    GATES = ("delta_clean_uar < -0.5", PASSES)
    DELTA = Term("delta_clean_uar", (), None, Figure(value=0.1, interval=(0.0, 0.2), n=24))

    def judged(self, evidence: Evidence | None, **more: Any) -> Verdict:
        baseline = BaselineAudit("audit_before", evidence, [self.DELTA])
        return judge(audit(), demands(*self.GATES, **more), baseline)

    @pytest.mark.parametrize("evidence", ["invalid", None])
    def test_whose_evidence_bears_nothing_lets_no_difference_be_judged(
        self, evidence: Evidence | None
    ) -> None:
        verdict = self.judged(evidence)
        difference, own = (one for one in verdict.cases if one.kind == "gate")
        assert (difference.outcome, own.outcome) == ("error", "passed")
        assert f"the baseline's evidence, which is {evidence or 'not known'}" in difference.message
        assert "--allow-invalid" in (difference.remedy or "")
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE

    @pytest.mark.parametrize("evidence", ["invalid", None])
    def test_is_judged_if_that_is_allowed_and_it_is_said(self, evidence: Evidence | None) -> None:
        verdict = self.judged(evidence, allow_invalid=True)
        assert verdict.exit_code == ExitCode.PASSED
        told = case(verdict, self.GATES[0]).message
        assert "in spite of the baseline's evidence" in told

    @pytest.mark.parametrize("evidence", ["weak", "sound"])
    def test_with_other_evidence_is_judged(self, evidence: Evidence) -> None:
        verdict = self.judged(evidence)
        assert verdict.exit_code == ExitCode.PASSED
        assert "evidence" not in case(verdict, self.GATES[0]).message


class TestWaivers:
    def test_take_a_raised_check_back_and_stand_in_the_verdict(self) -> None:
        told = audit(evidence="weak", checks=[check("small_class"), check("far", status="clear")])
        asked = demands(PASSES, evidence="sound", waivers=[waiver("small_class"), waiver("far")])
        verdict = judge(told, asked)
        assert verdict.exit_code == ExitCode.PASSED
        assert case(verdict, "small_class").waived
        assert case(verdict, "small_class").outcome == "skipped"
        assert "There are four clips of disgust." in case(verdict, "small_class").message
        assert [one.effect.split(":")[0] for one in verdict.waivers] == ["applied", "not needed"]

    def test_of_one_check_leave_the_others(self) -> None:
        told = audit(evidence="weak", checks=[check("small_class"), check("one_speaker")])
        asked = demands(evidence="sound", waivers=[waiver("small_class")])
        assert judge(told, asked).exit_code == ExitCode.FAILED

    def test_never_lift_what_makes_the_evidence_invalid(self) -> None:
        told = audit(evidence="invalid", checks=[check("at_chance", "invalid")])
        verdict = judge(told, demands(PASSES, waivers=[waiver("at_chance")]))
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE
        assert case(verdict, "at_chance").outcome == "error"
        assert "never lifts" in verdict.waivers[0].effect

    def test_count_on_their_last_day_and_not_after_it(self) -> None:
        told = audit(evidence="weak", checks=[check("small_class")])
        asked = demands(PASSES, waivers=[waiver("small_class", until=TODAY)])
        assert judge(told, asked).exit_code == ExitCode.PASSED
        with pytest.raises(GateError, match="was until 2027-01-15, and it is 2027-01-16"):
            judge(told, replace(asked, today=date(2027, 1, 16)))

    def test_of_an_unknown_check_are_refused_with_the_nearest(self) -> None:
        told = audit(checks=[check("small_class", status="clear"), check("at_chance", "invalid")])
        with pytest.raises(GateError, match=r"'smal_class' is of no check.* small_class, "):
            judge(told, demands(PASSES, waivers=[waiver("smal_class")]))


class TestAuditsWithoutAResult:
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_have_nothing_to_judge_and_say_why(self, status: str) -> None:
        error = {"code": "out_of_memory", "message": "The device has too little memory."}
        told = answered() | {"status": status, "result": None, "error": error}
        asked = demands(PASSES, waivers=[waiver("small_class")])
        verdict = judge(Audit.model_validate(told), asked)
        assert verdict.exit_code == ExitCode.NOTHING_TO_JUDGE
        assert "out_of_memory" in verdict.cases[0].message
        assert {one.outcome for one in verdict.cases} == {"error"}
