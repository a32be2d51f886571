"""Whether a model is too weak, and the training that it then calls for."""

from typing import Any

import pytest

from app.audits.hardening import verdict
from app.audits.schemas import Harden
from models.attacks import Attack, parse
from tests.app.audits.conftest import attacked, found_result, found_rows, prediction

FGSM = parse({"type": "fgsm", "epsilon": [0.02, 0.1]})
PGD = parse({"type": "pgd", "epsilon": [0.1, 0.3]})
NOISE = parse({"type": "noise", "epsilon": [0.1]})
WAVE = parse({"type": "fgsm", "domain": "waveform", "snr_db": [60, 30]})
ATTACKS: tuple[Attack, ...] = (FGSM, PGD, NOISE, WAVE)
BROKEN = {(0, 0.02): 1, (0, 0.1): 3, (1, 0.1): 6, (1, 0.3): 9, (2, 0.1): 10, (3, 60): 2, (3, 30): 7}
"""Of ten clips, by attack and strength."""


def harden(**when: Any) -> Harden:
    return Harden.model_validate({"defense": {"type": "vanilla"}, "when": when})


def judged(**when: Any) -> tuple[float | None, bool]:
    """The verdict on a model of which so many clips were broken."""
    template = found_rows()[1]
    rows = [
        template.model_copy(
            update={
                "index": index,
                "attacked": [
                    attacked(
                        prediction(2 if index < clips else 1, 0.2, 0.3, 0.5),
                        strength,
                        success=index < clips,
                        attack=number,
                    )
                    for (number, strength), clips in BROKEN.items()
                ],
            }
        )
        for index in range(10)
    ]
    found = verdict(harden(**when), found_result(rows, ATTACKS))
    return found.success_rate, found.triggered


class TestVerdict:
    @pytest.mark.parametrize(
        ("when", "rate"),
        [
            ({"epsilon": 0.02}, 0.1),
            ({"epsilon": 0.1}, 0.6),
            ({"epsilon": 0.3}, 0.9),
            ({"domain": "waveform", "snr_db": 60}, 0.2),
            ({"domain": "waveform", "snr_db": 30}, 0.7),
            ({"domain": "waveform", "epsilon": 0.1}, None),
            ({"norm": "l2", "epsilon": 0.1}, None),
        ],
        ids=str,
    )
    def test_is_that_of_the_best_attack_of_the_threat_model_no_harder_than_asked(
        self, when: dict[str, Any], rate: float | None
    ) -> None:
        """Noise, which breaks all clips at .1, is no attack."""
        assert judged(**when, success_rate_above=0.0)[0] == rate

    @pytest.mark.parametrize(("above", "triggered"), [(0.59, True), (0.6, False), (0.61, False)])
    def test_is_too_weak_above_the_rate_and_not_at_it(self, above: float, triggered: bool) -> None:
        assert judged(epsilon=0.1, success_rate_above=above) == (0.6, triggered)

    def test_nothing_is_said_of_a_model_that_was_not_attacked_so(self) -> None:
        assert judged(norm="l2", epsilon=0.1, success_rate_above=0.0) == (None, False)
