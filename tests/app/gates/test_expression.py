"""Conditions as they are written."""

import pytest

from app.gates.errors import GateError
from app.gates.expression import Condition, parse


class TestParse:
    @pytest.mark.parametrize(
        ("text", "condition"),
        [
            (
                "worst_uar@0.02.low < 0.35",
                Condition("worst_uar", None, 0.02, "low", "<", 0.35),
            ),
            (
                "success_rate:fgsm@0.02.high>0.5",
                Condition("success_rate", "fgsm", 0.02, "high", ">", 0.5),
            ),
            ("clean_uar.n <= 100", Condition("clean_uar", None, None, "n", "<=", 100)),
            ("uar:pgd#1@40 >= -1e-3", Condition("uar", "pgd#1", 40, "value", ">=", -0.001)),
            (
                "worst_uar:waveform/l2@30.value < .5",
                Condition("worst_uar", "waveform/l2", 30, "value", "<", 0.5),
            ),
            ("uar:gain@-20.high < 1", Condition("uar", "gain", -20, "high", "<", 1)),
        ],
    )
    def test_all_parts_are_read(self, text: str, condition: Condition) -> None:
        assert parse(text) == condition
        assert parse(str(condition)) == condition  # what is shown can be used again

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "is no gate: give NAME"),
            ("worst_uar", "is no gate: give NAME"),
            ("worst_uar < low", "is no gate: give NAME"),
            ("__import__('os') < 1", "is no gate"),
            ("uar@0.02.mean < 1", "asks for the bound 'mean': give one of value, low, high, n"),
            ("uar == 1", "compares with '==': give one of <, <=, >, >="),
            ("uar < 1e999", "holds 1e999, which is too large"),
            ("uar@1e999 < 1", "holds 1e999, which is too large"),
            ("uar < nan", "is no gate"),
            ("u" * 300 + " < 1", "has 304 characters"),
        ],
    )
    def test_what_is_no_condition_is_shown_with_what_would_be(self, text: str, told: str) -> None:
        with pytest.raises(GateError) as caught:
            parse(text)
        assert told in str(caught.value)
        assert len(str(caught.value)) < 400


class TestHolds:
    @pytest.mark.parametrize(
        ("text", "below", "equal", "above"),
        [
            ("uar < 1", True, False, False),
            ("uar <= 1", True, True, False),
            ("uar > 1", False, False, True),
            ("uar >= 1", False, True, True),
        ],
    )
    def test_as_its_operator_says(self, text: str, below: bool, equal: bool, above: bool) -> None:
        condition = parse(text)
        assert [condition.holds(value) for value in (0.9, 1.0, 1.1)] == [below, equal, above]
