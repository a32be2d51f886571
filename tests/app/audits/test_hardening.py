"""Whether a model is too weak, and the training that it then calls for."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.audits.harden_request import Harden
from app.audits.hardening import training, verdict
from app.audits.result import Hardening
from app.audits.schemas import AuditRequest
from models.attacks import Attack, parse
from models.audit.checks import Evidence
from models.checkpoint import ModelConfig
from models.training_plan import Recipe
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


def judged(evidence: Evidence = "sound", **when: Any) -> Hardening:
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
    result = found_result(rows, ATTACKS)
    result.evidence = evidence
    return verdict(harden(**when), result)


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
    def test_is_that_of_the_worst_case_of_the_threat_model_no_harder_than_asked(
        self, when: dict[str, Any], rate: float | None
    ) -> None:
        """Noise, which breaks all clips at .1, is no attack."""
        assert judged(**when, success_rate_above=0.0).success_rate == rate

    @pytest.mark.parametrize(("above", "triggered"), [(0.31, True), (0.32, False), (0.59, False)])
    def test_a_model_is_too_weak_where_the_whole_interval_is_above_the_rate(
        self, above: float, triggered: bool
    ) -> None:
        found = judged(epsilon=0.1, success_rate_above=above)
        assert (found.success_rate, found.triggered) == (0.6, triggered)
        interval = found.figures["success_rate"].interval
        assert interval == pytest.approx((0.313, 0.832), abs=1e-3)  # Wilson's of 6 in 10

    @pytest.mark.parametrize(("below", "triggered"), [(0.9, True), (0.6, False)])
    def test_or_where_that_of_the_uar_is_below_another(self, below: float, triggered: bool) -> None:
        found = judged(epsilon=0.1, uar_below=below)
        interval = found.figures["uar"].interval
        assert found.triggered is triggered
        assert interval is not None
        assert interval[0] < 0.4 < interval[1]

    def test_an_invalid_audit_triggers_nothing_and_says_so(self) -> None:
        found = judged("invalid", epsilon=0.1, success_rate_above=0.1)
        assert not found.triggered
        assert found.reason == "The evidence of the audit is invalid."
        assert judged("weak", epsilon=0.1, success_rate_above=0.1).triggered

    def test_nothing_is_said_of_a_model_that_was_not_attacked_so(self) -> None:
        found = judged(norm="l2", epsilon=0.1, success_rate_above=0.0)
        assert (found.success_rate, found.figures, found.triggered) == (None, {}, False)

    def test_a_bound_is_needed(self) -> None:
        with pytest.raises(ValidationError, match="give it, or uar_below"):
            harden(epsilon=0.1)


class TestTraining:
    @pytest.mark.parametrize(
        ("weights", "corpus", "carried"),
        [
            ("balanced", "corpus_other", "balanced"),
            ({"joy": 2.0}, "corpus_its", {"joy": 2.0}),
            ({"joy": 2.0}, "corpus_other", None),
        ],
    )
    def test_minds_rare_emotions_as_that_of_the_model_did(
        self, weights: Any, corpus: str, carried: Any
    ) -> None:
        """Weights by name mean the emotions of the corpus that it learnt from."""
        recipe = Recipe(class_weights=weights, sampling="balanced").model_dump(mode="json")
        told = {"corpus": "corpus_its", "recipe": recipe}
        flat = (0.0,) * 64, (1.0,) * 64
        config = ModelConfig("cnn4", ("anger", "joy"), *flat, training=told)
        request = AuditRequest(model="its", corpus=corpus, attacks=[FGSM])
        wanted = training(request, harden(epsilon=0.1, uar_below=0.5), config)
        assert (wanted.sampling, wanted.class_weights) == ("balanced", carried)
