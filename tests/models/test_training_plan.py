"""Nonsense is refused when a plan is made, with the field that is at fault, and not after hours."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.defenses.single import Single
from models.defenses.trades import Trades
from models.training_plan import Recipe, TrainingPlan

pytestmark = pytest.mark.usefixtures("tiny_architecture")


def plan(**changes: Any) -> TrainingPlan:
    values: dict[str, Any] = {
        "architecture": "tiny",
        "n_classes": 3,
        "defense": {"type": "vanilla"},
    }
    return TrainingPlan.model_validate(values | changes)


def refused(**changes: Any) -> list[tuple[str, str]]:
    """Where a plan is at fault, and what is said of it."""
    with pytest.raises(ValidationError) as caught:
        plan(**changes)
    return [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in caught.value.errors()]


class TestDefaults:
    def test_are_the_papers(self) -> None:
        default = TrainingPlan(architecture="cnn4", n_classes=7)
        assert (default.iterations, default.batch_size, default.learning_rate) == (10_000, 16, 1e-3)
        assert (default.decay, default.decay_every, default.cooldown) == (0.9, 100, 0)
        assert (default.frames, default.epsilon) == (373, 0.02)
        assert default.defense == Single()
        assert default.attack == Fgsm(labels="true")
        assert default.crafting == "eval"

    def test_of_a_recipe_are_those_of_the_plan(self) -> None:
        default = TrainingPlan(architecture="cnn4", n_classes=7)
        assert default.recipe == Recipe()
        assert not isinstance(default.recipe, TrainingPlan)


class TestStoring:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"defense": {"type": "trades", "beta": 3}},
            {"attack": {"type": "pgd", "steps": 7, "norm": "l2"}, "epsilon": 20},
            {"attack": {"type": "fgsm", "goal": "all_targets", "clip": 0.1}},
        ],
        ids=str,
    )
    def test_a_plan_is_read_back_from_the_json_that_it_is_written_as(
        self, changes: dict[str, Any]
    ) -> None:
        chosen = plan(**changes)
        written = json.dumps(chosen.model_dump(mode="json"))
        assert TrainingPlan.model_validate(json.loads(written)) == chosen

    def test_every_default_is_spelt_out(self) -> None:
        written = plan().model_dump(mode="json")
        assert written.keys() == TrainingPlan.model_fields.keys()
        assert written["defense"] == {"type": "vanilla", "alpha": 0.5}
        assert written["attack"]["labels"] == "true"

    def test_a_changed_plan_is_checked_like_any_other(self) -> None:
        assert plan().changed(seed=4).seed == 4
        with pytest.raises(ValidationError):
            plan().changed(seed=-4)


class TestRanges:
    @pytest.mark.parametrize(
        "changes",
        [
            {"architecture": "cnn5"},
            {"n_classes": 1},
            {"n_classes": 1_001},
            {"n_classes": 3.0},
            {"n_classes": True},
            {"epsilon": -0.1},
            {"epsilon": math.nan},
            {"epsilon": math.inf},
            {"epsilon": 10.1},
            {"iterations": 0},
            {"iterations": 10.5},
            {"iterations": 10_000_001},
            {"adversarial_from": -1},
            {"batch_size": 1},
            {"batch_size": 1025},
            {"learning_rate": 0.0},
            {"learning_rate": -1e-3},
            {"learning_rate": math.nan},
            {"learning_rate": 1.1},
            {"decay": 0.0},
            {"decay": 1.1},
            {"decay": math.nan},
            {"decay_every": 0},
            {"cooldown": -1},
            {"epsilon_ramp": -1},
            {"class_weights": "inverse"},
            {"sampling": "stratified"},
            {"frames": 31},
            {"frames": 3_751},
            {"seed": -1},
            {"seed": 2**31},
            {"warmup": 3},
        ],
        ids=str,
    )
    def test_a_field_out_of_its_range_is_named(self, changes: dict[str, Any]) -> None:
        (name,) = changes
        assert [field for field, _ in refused(**changes)] == [name]

    @pytest.mark.parametrize(
        "changes",
        [
            {"n_classes": 2},
            {"n_classes": 1_000},
            {"epsilon": 0.0},
            {"epsilon": 10.0},
            {"epsilon": 10_000.0, "attack": {"type": "fgsm", "norm": "l2"}},
            {"adversarial_from": None},
            {"decay": 1.0},
            {"frames": 3_750},
            {"seed": 0},
            {"cooldown": 1_000},
        ],
        ids=str,
    )
    def test_the_ends_of_the_ranges_are_accepted(self, changes: dict[str, Any]) -> None:
        plan(**changes)

    def test_an_unknown_architecture_is_told_the_known_ones(self) -> None:
        ((_, message),) = refused(architecture="cnn5")
        assert "'cnn5': choose one of cnn4, resnet50, tiny, vgg16" in message


class TestDefense:
    @pytest.mark.parametrize(
        ("defense", "field", "message"),
        [
            ({"type": "magic"}, "defense.type", "'magic' is unknown: give one of"),
            ("vanilla", "defense", "give an object with a type"),
            ({"type": "vanilla", "alpha": 2}, "defense.alpha", "less than or equal to 1"),
            ({"type": "vanilla", "beta": 2}, "defense.beta", "Extra inputs"),
            ({"type": "similarity", "beta": 0.7}, "defense.gamma", "beta + gamma is 1.1"),
            ({"type": "trades", "steps": 0}, "defense.steps", "greater than or equal to 1"),
            ({"type": "pgd", "step": 0}, "defense.step", "greater than 0"),
        ],
    )
    def test_a_fault_is_named_by_its_field(self, defense: object, field: str, message: str) -> None:
        ((named, told),) = refused(defense=defense)
        assert named == field
        assert message in told

    @pytest.mark.parametrize(
        ("defense", "iterations", "given", "first"),
        [
            ("vanilla", 10_000, None, 1_000),
            ("vanilla", 50_000, None, 1_000),
            ("similarity", 2_000, None, 200),
            ("similarity", 5, None, 0),
            ("trades", 2_000, 0, 0),
            ("pgd", 2_000, 700, 700),
            ("single", 2_000, None, 2_000),
            ("single", 2_000, 700, 2_000),
        ],
    )
    def test_adversarial_data_enter_when_they_should(
        self, defense: str, iterations: int, given: int | None, first: int
    ) -> None:
        chosen = plan(defense={"type": defense}, iterations=iterations, adversarial_from=given)
        assert chosen.first_adversarial == first


class TestAttack:
    @pytest.mark.parametrize(
        ("attack", "field", "message"),
        [
            ({"type": "deepfool"}, "attack.type", "'deepfool' is unknown"),
            ({"type": "pgd", "steps": 0}, "attack.steps", "greater than or equal to 1"),
            ({"type": "fgsm", "epsilon": [0.1]}, "attack", "the strength of a training is its own"),
            ({"type": "fgsm", "domain": "waveform"}, "attack", "a training changes features"),
            ({"type": "fgsm", "minimum": True}, "attack", "leave minimum out"),
            ({"type": "pgd", "goal": {"label": "anger"}}, "attack", "goal is a label"),
        ],
    )
    def test_that_no_training_can_use_is_refused(
        self, attack: dict[str, Any], field: str, message: str
    ) -> None:
        faults = refused(attack=attack)
        assert [named for named, _ in faults] == [field]
        assert message in faults[0][1]

    @pytest.mark.parametrize(
        ("defense", "reason"),
        [("single", "trains on clean data alone"), ("trades", "crafts its own inputs")],
    )
    def test_beside_a_defence_that_would_not_use_it_is_refused(
        self, defense: str, reason: str
    ) -> None:
        ((field, message),) = refused(defense={"type": defense}, attack={"type": "pgd"})
        assert field == "attack"
        assert f"the defense {defense} {reason}: leave attack out" in message

    def test_the_default_may_be_spelt_out_beside_it(self) -> None:
        """Stored requests do so."""
        spelt = TrainingPlan(architecture="tiny", n_classes=3).model_dump(mode="json")
        assert plan(defense={"type": "trades"}, attack=spelt["attack"]).defense == Trades()

    def test_that_does_not_fit_so_few_classes_is_refused(self) -> None:
        ((field, message),) = refused(n_classes=2, attack={"type": "pgd", "loss": "dlr"})
        assert field == "attack.loss"
        assert message == "it needs 3 labels, and the model has 2: give ce or margin"
        assert plan(n_classes=3, attack={"type": "pgd", "loss": "dlr"}).attack == Pgd(loss="dlr")

    def test_that_takes_too_long_for_one_iteration_is_refused(self) -> None:
        """A training is stopped between two iterations."""
        ((field, message),) = refused(attack={"type": "pgd", "steps": 600, "restarts": 2})
        assert field == "attack"
        assert "takes 1202 passes for each batch: give steps or queries for 1000" in message
        plan(attack={"type": "pgd", "steps": 499, "restarts": 2})

    def test_its_norm_bounds_the_strength(self) -> None:
        assert plan(attack={"type": "fgsm", "norm": "l2"}, epsilon=50).epsilon == 50
        ((field, message),) = refused(epsilon=50)
        assert field == "epsilon"
        assert "50.0 is more than 10.0 sigma" in message


class TestFusedCrafting:
    @pytest.mark.parametrize(
        "chosen",
        [
            {"defense": {"type": "vanilla"}},
            {"defense": {"type": "similarity"}},
            {"attack": {"type": "fgsm", "norm": "l2"}, "epsilon": 5},
            {"attack": {"type": "fgsm", "clip": 0.1}},
        ],
        ids=str,
    )
    def test_takes_fgsm_at_the_true_label(self, chosen: dict[str, Any]) -> None:
        assert plan(crafting="fused", **chosen).crafting == "fused"

    @pytest.mark.parametrize(
        ("chosen", "reason"),
        [
            ({"defense": {"type": "single"}}, "the defense single knows no fused crafting"),
            ({"defense": {"type": "pgd"}}, "the defense pgd knows no fused crafting"),
            ({"defense": {"type": "trades"}}, "give eval, or similarity or vanilla"),
            ({"attack": {"type": "pgd"}}, "PGD needs more than the gradient of the clean loss"),
            ({"attack": {"type": "fgsm", "labels": "predicted"}}, "FGSM, labels predicted needs"),
            ({"attack": {"type": "fgsm", "goal": "all_targets"}}, "FGSM, goal all_targets needs"),
        ],
        ids=str,
    )
    def test_is_refused_where_one_gradient_does_not_suffice(
        self, chosen: dict[str, Any], reason: str
    ) -> None:
        ((field, message),) = refused(crafting="fused", **chosen)
        assert field == "crafting"
        assert reason in message

    def test_is_no_fault_of_its_own_beside_a_fault(self) -> None:
        assert [field for field, _ in refused(crafting="fused", defense={"type": "magic"})] == [
            "defense.type"
        ]


class TestStrength:
    def test_is_epsilon_from_the_first_adversarial_iteration_on(self) -> None:
        assert plan(epsilon=0.1, adversarial_from=4).strength(4) == 0.1

    def test_rises_linearly_over_the_ramp(self) -> None:
        ramped = plan(epsilon=0.1, adversarial_from=4, epsilon_ramp=4)
        found = [ramped.strength(iteration) for iteration in range(4, 10)]
        assert found == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
        assert found[3] == 0.1

    def test_is_no_part_of_the_clean_phase_but_weights_and_sampling_are(self) -> None:
        assert plan(epsilon_ramp=4).clean_phase() == plan().clean_phase()
        for changes in ({"class_weights": "balanced"}, {"sampling": "balanced"}):
            assert plan(**changes).clean_phase() != plan().clean_phase()
