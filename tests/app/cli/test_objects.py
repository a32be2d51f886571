"""Attacks and defences as words of a command line."""

from typing import Any

import pytest

from app.cli.errors import CliError
from app.cli.objects import parse_object, parse_pairs


class TestParseObject:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("fgsm", {"type": "fgsm"}),
            ("pgd steps=10", {"type": "pgd", "steps": 10}),
            ("  pgd   steps=10  loss=ce ", {"type": "pgd", "steps": 10, "loss": "ce"}),
            ("fgsm epsilon=0.02,0.04", {"type": "fgsm", "epsilon": [0.02, 0.04]}),
            ("fgsm epsilon=[0.02]", {"type": "fgsm", "epsilon": [0.02]}),
            ("fgsm minimum=true clip=null", {"type": "fgsm", "minimum": True, "clip": None}),
            ("fgsm goal=all_targets", {"type": "fgsm", "goal": "all_targets"}),
            ('fgsm goal={"label":"joy"}', {"type": "fgsm", "goal": {"label": "joy"}}),
            ("toy words=a,b", {"type": "toy", "words": ["a", "b"]}),
            ("toy formula=a=b", {"type": "toy", "formula": "a=b"}),
            ('{"type": "pgd", "steps": 10}', {"type": "pgd", "steps": 10}),
        ],
    )
    def test_a_value_is_json_a_list_or_text(self, text: str, found: dict[str, Any]) -> None:
        assert parse_object(text, "--attack") == found

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "begin with a type"),
            ("steps=10", "begin with a type"),
            ("pgd 10", "holds '10'; give NAME=VALUE"),
            ("pgd =10", "holds '=10'; give NAME=VALUE"),
            ("pgd steps=10 steps=20", "gives steps twice"),
            ("{type: pgd}", "is not JSON"),
        ],
    )
    def test_what_is_neither_is_refused_with_the_option(self, text: str, said: str) -> None:
        with pytest.raises(CliError, match="--attack") as refused:
            parse_object(text, "--attack")
        assert said in str(refused.value)


class TestParsePairs:
    def test_they_are_names_and_values(self) -> None:
        found = parse_pairs(["domain=waveform", "snr_db=40"], "--harden-at")
        assert found == {"domain": "waveform", "snr_db": 40}
