"""The rules that every registered attack is held to, and what a request may say of one."""

import json
import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from models.attacks import ATTACKS, AnyAttack, Attack, Objective, TargetLabel, parse
from models.attacks.attack import MAX_STRENGTHS
from models.attacks.pgd import Pgd
from models.objectives import margin
from models.rng import Rng
from models.victims import AccessDenied, BudgetExceeded, Cost, Meter, View, metered
from tests.models.attacks.table import Case, cases, crafted, every_attack, setting, with_fields
from tests.models.lived_in import lived_in, state_of
from tests.models.tiny import tiny_net
from tests.models.victims.spectrogram import inputs, victim
from tests.models.views import LinearView, NetView


class TestTheTable:
    def test_holds_every_registered_attack(self) -> None:
        assert {case.attack.type for case in cases()} == set(ATTACKS)

    def test_holds_the_variants_that_an_attack_is_to_be_tested_with(self) -> None:
        losses = {case.attack.parameters()["loss"] for case in cases("pgd")}
        assert losses == {"ce", "margin", "dlr"}


class TestPurity:
    @every_attack()
    def test_the_network_stays_as_it_was(self, case: Case, device: torch.device) -> None:
        net = lived_in(tiny_net().to(device))
        before = state_of(net)
        others = {"other": victim(tiny_net(seed=1), device=device)}
        view = victim(net, device=device).view(case.attack.domain, others)
        crafted(case, view, *(part.to(device) for part in inputs(case.attack.domain)))
        assert state_of(net) == before

    @every_attack()
    def test_clip_label_and_radius_are_untouched(self, case: Case, device: torch.device) -> None:
        view, x, y = setting(case, device=device)
        radius = case.attack.threat.radius(x, case.attack.strengths[0])
        before = x.clone(), y.clone(), radius.clone()
        list(case.attack.craft(view, x, y, [radius], Rng(0, range(len(x)))))
        assert all(torch.equal(part, was) for part, was in zip((x, y, radius), before, strict=True))

    @every_attack()
    def test_a_clip_that_requires_gradients_gets_none(self, case: Case) -> None:
        view, x, y = setting(case)
        x.requires_grad_(True)
        found = crafted(case, view, x, y)
        assert x.grad is None
        assert not any(one.requires_grad or one.grad_fn is not None for one in found)

    @every_attack()
    def test_draws_come_from_the_audit_alone(self, case: Case) -> None:
        before = torch.random.get_rng_state()
        crafted(case, *setting(case))
        assert torch.equal(torch.random.get_rng_state(), before)


class TestTheAnswer:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @every_attack()
    def test_is_one_input_a_strength_of_shape_dtype_and_device_of_the_clip(
        self, case: Case, dtype: torch.dtype, device: torch.device
    ) -> None:
        view, x, y = setting(case, dtype=dtype, device=device)
        found = crafted(case, view, x, y)
        assert len(found) == len(case.attack.strengths)
        for one in found:
            assert (one.shape, one.dtype, one.device) == (x.shape, dtype, x.device)
            assert one.data_ptr() != x.data_ptr()
            assert not one.requires_grad

    @pytest.mark.parametrize("shape", [(4, 6), (4, 2, 3), (4, 1, 2, 3)])
    @every_attack()
    def test_may_be_of_any_rank(self, case: Case, shape: tuple[int, ...]) -> None:
        if case.attack.domain == "waveform":
            shape = (4, math.prod(shape[1:]))
        x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        linear = LinearView.random(3, 6, case.attack.domain, seed=1)
        view = NetView(linear.net, 3, case.attack.domain, {"other": linear})
        view.labels = linear.labels = ("calm", "cross", "sad")
        for one in crafted(case, view, x, torch.tensor([0, 1, 0, 1])):
            assert one.shape == shape
            assert bool((one != x).any())

    @every_attack()
    def test_is_the_same_with_gradients_switched_off(self, case: Case) -> None:
        expected = crafted(case, *setting(case))
        with torch.no_grad():
            found = crafted(case, *setting(case))
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))

    @every_attack()
    def test_at_radius_zero_is_an_equal_copy(self, case: Case) -> None:
        view, x, y = setting(case)
        (found,) = case.attack.craft(view, x, y, [torch.zeros(len(x))], Rng(0, range(len(x))))
        assert torch.equal(found.x, x)
        assert found.x.data_ptr() != x.data_ptr()

    @every_attack()
    def test_moves_the_clip_and_stays_in_the_budget_once_projected(self, case: Case) -> None:
        view, x, y = setting(case, dtype=torch.float64)
        threat = case.attack.threat
        for strength, found in zip(case.attack.strengths, crafted(case, view, x, y), strict=True):
            radius = threat.radius(x, strength)
            moved = threat.size(threat.project(x, found, radius) - x)
            assert bool((moved > 0.01 * radius).any())
            assert bool((moved <= radius * (1 + 1e-9)).all())

    @every_attack()
    def test_of_a_silent_recording_is_no_error(self, case: Case) -> None:
        view, x, y = setting(case)
        x[0] = 0
        for one in crafted(case, view, x, y):
            assert bool(torch.isfinite(one).all())

    @every_attack(where="gradients")
    def test_raises_the_objective_the_more_the_larger_the_radius(self, case: Case) -> None:
        view, x, y = setting(case, dtype=torch.float64)
        goal = case.attack.goal
        aim = torch.full_like(y, 2) if isinstance(goal, TargetLabel) else y
        objective = Objective(aim, "margin", targeted=isinstance(goal, TargetLabel))
        points = [x, *crafted(case, view, x, y)]
        means = [float(objective.values(view.scores(point)).mean()) for point in points]
        if "clip" in case.given:  # which holds all strengths to the same change
            means = means[:2]
        assert means == sorted(set(means))

    @every_attack(where="away")
    def test_raises_its_own_loss_for_every_clip(self, case: Case) -> None:
        view, x, y = setting(case, n=8, dtype=torch.float64)
        objective = case.attack.objective(y, getattr(case.attack, "loss", "ce"))
        before = objective.values(view.scores(x))
        for found in crafted(case, view, x, y):
            assert bool((objective.values(view.scores(found)) > before).all())


class TestTheClipAlone:
    @every_attack()
    def test_decides_whatever_the_batch_and_its_order(self, case: Case) -> None:
        view, x, y = setting(case, n=5, dtype=torch.float64)
        together = crafted(case, view, x, y, clips=[10, 11, 12, 13, 14])
        order = [3, 0, 4]
        some = crafted(case, view, x[order], y[order], clips=[13, 10, 14])
        alone = crafted(case, view, x[2:3], y[2:3], clips=[12])
        for whole, part, one in zip(together, some, alone, strict=True):
            torch.testing.assert_close(whole[order], part, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(whole[2:3], one, rtol=1e-9, atol=1e-11)

    @every_attack()
    def test_and_the_seed_decide(self, case: Case) -> None:
        setting_ = setting(case)
        first, again = crafted(case, *setting_, seed=3), crafted(case, *setting_, seed=3)
        assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


class Rooted(nn.Module):
    """The slope of a square root of zero times zero is no number; the scores are."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        root = (0 * flat[:, 0]).sqrt()
        return torch.stack([flat.mean(1), root, -flat.mean(1)], dim=1)


class Flat(nn.Module):
    """A model that answers the same to everything: its gradient is zero."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :3] + torch.tensor([1.0, 0.5, 0.0])


def deaf(net: nn.Module, case: Case) -> tuple[NetView, Tensor, Tensor]:
    """A view of a model that gives an attack nothing to go by."""
    x = 0.1 * torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    view = NetView(net, 3, case.attack.domain, {"other": NetView(net, 3, case.attack.domain)})
    view.labels = ("calm", "cross", "sad")
    return view, x, torch.tensor([0, 0, 1])


class TestNothingToGoBy:
    @every_attack(where="gradients")
    def test_where_the_gradient_is_not_a_number_neither_is_the_answer(self, case: Case) -> None:
        for found in crafted(case, *deaf(Rooted(), case)):
            assert bool(found.flatten(1).isnan().any(dim=1).all())

    @every_attack(where="gradients")
    def test_one_clip_without_a_gradient_harms_no_other(self, case: Case) -> None:
        class RootedAtZero(nn.Module):
            """Rooted for a clip that begins with 0, linear for the others."""

            def forward(self, x: Tensor) -> Tensor:
                flat = x.flatten(1)
                return torch.stack(
                    [flat.mean(1) + flat[:, 0].abs().sqrt(), flat[:, 1], -flat.mean(1)], dim=1
                )

        view, x, y = deaf(RootedAtZero(), case)
        x[1, 0] = 0
        for found in crafted(case, view, x, y):
            assert found.isnan().any(dim=1).tolist() == [False, True, False]

    @every_attack(where="gradients")
    def test_where_the_gradient_is_zero_nothing_moves(self, case: Case) -> None:
        """Also where it might start at a random point: a draw that gains nothing does not count."""
        view, x, y = deaf(Flat(), case)
        for found in crafted(case, view, x, y):
            assert torch.equal(found, x)


class TestCost:
    @every_attack()
    def test_is_told_beforehand(self, case: Case) -> None:
        view, x, y = setting(case)
        attack = case.attack
        limit = attack.cost(len(view.labels), len(attack.strengths))
        meter = Meter(len(x), limit)
        crafted(case, metered(view, meter, attack.needs, len(x)), x, y)
        for spent in meter.costs():
            assert spent.within(limit)
            assert spent.forwards > 0
            if attack.exact_cost:
                assert spent == limit

    @every_attack()
    def test_of_one_run_is_told_too(self, case: Case) -> None:
        view, x, y = setting(case)
        attack = case.attack
        meter = Meter(len(x), attack.run_cost(len(view.labels)))
        radius = attack.threat.radius(x, attack.strengths[0])
        counted = metered(view, meter, attack.needs, len(x))
        attack.run(counted, x, y, radius, Rng(0, range(len(x))))

    def test_of_a_goal_of_all_targets_is_a_run_and_a_choice_for_each(self) -> None:
        attack = parse({"type": "pgd", "steps": 5, "epsilon": [0.1], "goal": "all_targets"})
        assert attack.runs(4) == 3
        assert attack.cost(4, strengths=2) == Cost(forwards=3 * (6 + 1), backwards=3 * 5) * 2

    def test_an_attack_that_asks_for_more_is_stopped(self) -> None:
        with pytest.raises(BudgetExceeded):
            run_metered(Greedy(epsilon=(0.1,), extra=1))
        run_metered(Greedy(epsilon=(0.1,), extra=0))

    def test_an_attack_that_asks_for_what_it_may_not_see_is_stopped(self) -> None:
        with pytest.raises(AccessDenied):
            run_metered(Prying(epsilon=(0.1,)))


class Greedy(Attack):
    """Asks for a pass more than it says."""

    type: Literal["greedy"] = "greedy"
    extra: int

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(forwards=1)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        for _ in range(1 + self.extra):
            view.scores(x)
        return x.clone()


class Prying(Greedy):
    """Says that it needs no more than scores."""

    needs = ATTACKS["noise"].needs
    extra: int = 0

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x + view.gradient(x, self.objective(y)).gradient


def run_metered(attack: Attack) -> None:
    """As an audit runs it."""
    view, x = LinearView.random(3, 4), torch.zeros(2, 4).double()
    meter = Meter(2, attack.cost(3))
    counted = metered(view, meter, attack.needs, 2)
    list(attack.craft(counted, x, torch.tensor([0, 1]), [torch.ones(2)], Rng(0, [0, 1])))


class TestAllTargets:
    def attack(self, **more: Any) -> Attack:
        return parse({"type": "pgd", "steps": 4, "epsilon": [0.3], "goal": "all_targets", **more})

    def test_answers_the_target_that_comes_nearest_and_says_which(self) -> None:
        view, x = LinearView.random(4, 6), torch.zeros(5, 6).double()
        y = torch.tensor([0, 1, 2, 3, 0])
        radius = torch.full((5,), 0.3).double()
        (found,) = self.attack().craft(view, x, y, [radius], Rng(0, range(5)))
        reached = margin(view.scores(found.x), y)
        for offset in (1, 2, 3):
            aim = (y + offset) % 4
            one = self.attack().run(view, x, aim, radius, Rng(0, range(5)).named(f"pgd/{offset}"))
            assert bool((margin(view.scores(one), y) <= reached + 1e-12).all())
        towards = view.scores(found.x).scatter(1, y[:, None], -math.inf).argmax(dim=1)
        assert found.details["target"] == [view.labels[number] for number in towards]

    def test_of_two_labels_there_is_one_other(self) -> None:
        view, x = LinearView.random(2, 6), torch.zeros(2, 6).double()
        radius, y = torch.full((2,), 0.3).double(), torch.tensor([0, 1])
        (found,) = self.attack().craft(view, x, y, [radius], Rng(0, [0, 1]))
        assert found.details["target"] == ["b", "a"]

    def test_a_missing_gradient_towards_one_target_is_not_hidden_by_another(self) -> None:
        class RootedForOne(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.stack([x[:, 0], x[:, 1], (0 * x[:, 2]).sqrt() + x[:, 2]], dim=1)

        view, x = NetView(RootedForOne()), torch.zeros(2, 4)
        for labels in ([0, 0], [1, 1]):
            attacked = self.attack(loss="margin").craft(
                view, x, torch.tensor(labels), [torch.full((2,), 0.1)], Rng(0, [0, 1])
            )
            assert bool(next(iter(attacked)).x.isnan().any(dim=1).all())


class TestATarget:
    def test_is_what_the_attack_moves_to(self) -> None:
        view, x = LinearView.random(4, 6), torch.zeros(3, 6).double()
        attack = parse({"type": "fgsm", "epsilon": [5], "goal": {"label": "c"}})
        y = torch.tensor([0, 1, 3])
        (found,) = attack.craft(view, x, y, [torch.full((3,), 5.0).double()], Rng(0, range(3)))
        before, after = (view.scores(point).softmax(dim=1)[:, 2] for point in (x, found.x))
        assert bool((after > before).all())

    def test_that_the_model_does_not_know_is_refused_with_those_that_it_does(self) -> None:
        attack = parse({"type": "fgsm", "epsilon": [1], "goal": {"label": "joy"}})
        unsuited = attack.unsuited(("calm", "sad"))
        assert unsuited is not None
        assert (unsuited.field, unsuited.value) == ("goal.label", "joy")
        assert "calm, sad" in unsuited.remedy
        assert attack.unsuited(("joy", "sad")) is None


def refusals(value: object) -> list[tuple[str, str]]:
    """(where, why) of each fault, as a request that holds a list of attacks is told."""
    try:
        TypeAdapter(dict[str, list[AnyAttack]]).validate_python({"attacks": [value]})
    except ValidationError as error:
        return [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
    return []


FEATURES = {"epsilon": [0.02]}
SOUND = {"domain": "waveform", "snr_db": [40]}
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("nan", {"epsilon": [0.1, math.nan]}, "epsilon.1", "finite number"),
    ("infinity", {"epsilon": [math.inf]}, "epsilon.0", "finite number"),
    ("negative", {"epsilon": [-0.1]}, "epsilon.0", "greater than or equal to 0"),
    ("negative snr", {"domain": "waveform", "snr_db": [-5]}, "snr_db.0", "greater than or equal"),
    ("a string", {"epsilon": ["0.1"]}, "epsilon.0", "valid number"),
    ("true", {"epsilon": [True]}, "epsilon.0", "valid number"),
    ("more than a float holds", {"epsilon": [10**400]}, "epsilon.0", "valid number"),
    ("no list", {"epsilon": 0.1}, "epsilon", "valid list"),
    ("a text", {"epsilon": "0.1"}, "epsilon", "valid list"),
    ("too large", {"epsilon": [0.1, 1e9]}, "epsilon", "1000000000.0 is more than is accepted"),
    ("beyond full scale", {"domain": "waveform", "epsilon": [1.1]}, "epsilon",
     "1.1 is more than is accepted: give at most 1.0 full_scale"),
    ("too many dB", {"domain": "waveform", "snr_db": [121]}, "snr_db", "give at most 120.0 dB"),
    ("twice", {"epsilon": [0.1, 0.2, 0.1]}, "epsilon", "holds 0.1 more than once"),
    ("zero twice", {"epsilon": [0.0, -0.0]}, "epsilon", "more than once"),
    ("none", {"epsilon": []}, "epsilon", "holds 0 strengths: give 1 to 32"),
    ("too many", {"epsilon": [n / 100 for n in range(MAX_STRENGTHS + 1)]}, "epsilon",
     "holds 33 strengths"),
    ("an snr of log-mels", {"snr_db": [40]}, "snr_db",
     "snr_db does not measure features with norm linf: give epsilon"),
    ("epsilon with an snr's norm", {"domain": "waveform", "norm": "l2", "epsilon": [0.1]},
     "epsilon", "epsilon does not measure waveform with norm l2: give snr_db"),
    ("an snr with epsilon's norm", {"domain": "waveform", "norm": "linf", "snr_db": [40]},
     "snr_db", "give epsilon"),
    ("both units", {"domain": "waveform", "snr_db": [40], "epsilon": [0.1]}, "epsilon",
     "give snr_db"),
    ("another domain", FEATURES | {"domain": "video"}, "domain", "'features' or 'waveform'"),
    ("another norm", FEATURES | {"norm": "l1"}, "norm", "'linf' or 'l2'"),
    ("other labels", FEATURES | {"labels": "mine"}, "labels", "'true' or 'predicted'"),
    ("an unknown parameter", FEATURES | {"epsilons": [1]}, "epsilons", "not permitted"),
    ("a text for a switch", FEATURES | {"minimum": "yes"}, "minimum", "valid boolean"),
]  # fmt: skip


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("given", "where", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
    )
    @pytest.mark.parametrize("name", ["fgsm", "noise", "pgd"])
    def test_by_every_attack_naming_the_field_and_not_the_union(
        self, name: str, given: dict[str, Any], where: str, why: str
    ) -> None:
        (refusal,) = refusals({"type": name, **given})
        assert refusal[0] == f"attacks.0.{where}"
        assert why in refusal[1]

    @pytest.mark.parametrize(
        ("goal", "where", "why"),
        [
            ("away", "goal", 'give "untargeted", "all_targets" or an object with a label'),
            (3, "goal", "an object with a label"),
            (["all_targets"], "goal", "an object with a label"),
            ({}, "goal.label", "required"),
            ({"label": ""}, "goal.label", "at least 1 character"),
            ({"label": 3}, "goal.label", "valid string"),
            ({"label": "sad", "now": True}, "goal.now", "not permitted"),
        ],
    )
    def test_a_goal(self, goal: object, where: str, why: str) -> None:
        (refusal,) = refusals({"type": "fgsm", **FEATURES, "goal": goal})
        assert refusal[0] == f"attacks.0.{where}"
        assert why in refusal[1]

    def test_a_goal_of_an_attack_that_has_none(self) -> None:
        (refusal,) = refusals({"type": "noise", **FEATURES, "goal": "all_targets"})
        assert refusal == (
            "attacks.0.goal",
            "this attack only moves away from a label: leave goal out",
        )

    def test_every_fault_at_once(self) -> None:
        found = refusals({"type": "pgd", "epsilon": [-1, "x"], "steps": 0, "wrong": 1})
        assert {where for where, _ in found} == {
            f"attacks.0.{part}" for part in ("epsilon.0", "epsilon.1", "steps", "wrong")
        }


class TestStrengths:
    def test_are_those_of_the_threat_model(self) -> None:
        assert parse({"type": "pgd", **FEATURES}).strengths == (0.02,)
        assert parse({"type": "pgd", **SOUND}).strengths == (40.0,)

    def test_may_be_whole_numbers_zero_and_the_largest(self) -> None:
        assert parse({"type": "pgd", "epsilon": [0, 1, 10]}).strengths == (0.0, 1.0, 10.0)

    @pytest.mark.parametrize("name", ["fgsm", "noise", "pgd"])
    def test_a_training_gives_its_own(self, name: str) -> None:
        attack = parse({"type": name})
        assert attack.strengths == ()
        assert attack.needs_strengths == "epsilon"
        assert parse({"type": name, "domain": "waveform", "norm": "l2"}).needs_strengths == "snr_db"
        assert parse({"type": name, **FEATURES}).needs_strengths == ""

    def test_an_snr_means_the_norm_l2(self) -> None:
        assert parse({"type": "fgsm", **SOUND}).norm == "l2"
        assert parse({"type": "fgsm", "domain": "waveform", "epsilon": [0.1]}).norm == "linf"
        assert parse({"type": "fgsm", **FEATURES}).norm == "linf"


class TestTheObject:
    @every_attack()
    def test_comes_back_equal_from_json(self, case: Case) -> None:
        again = parse(json.loads(case.attack.model_dump_json()))
        assert again == case.attack
        assert type(again) is type(case.attack)
        assert parse(case.attack.model_dump(mode="json")) == case.attack
        assert parse(json.loads(json.dumps(case.given))) == case.attack

    @every_attack()
    def test_is_frozen_and_hashable(self, case: Case) -> None:
        assert hash(case.attack) == hash(parse(case.given))
        assert len({case.attack, parse(case.given)}) == 1
        with pytest.raises(ValidationError, match="frozen"):
            case.attack.minimum = True  # type: ignore[misc]

    @every_attack()
    def test_its_parameters_are_json_without_type_and_strengths(self, case: Case) -> None:
        parameters = case.attack.parameters()
        assert json.loads(json.dumps(parameters)) == parameters
        assert not {"type", "epsilon", "snr_db", "minimum"} & set(parameters)
        given = case.given
        if "attack" in given:  # of a transfer, those of the attack inside count
            assert set(parameters) == {"from", "attack"}
            given, parameters = given["attack"], parameters["attack"]
        spelt_out = {"domain", "norm", "labels", "goal"} | set(given) - {
            "type", "epsilon", "snr_db",
        }  # fmt: skip
        assert spelt_out <= set(parameters)

    @every_attack()
    def test_its_identity_knows_no_strength(self, case: Case) -> None:
        name = case.attack.threat.strength_name
        weaker = parse(with_fields(case.given, {name: [case.attack.strengths[0]]}))
        assert weaker.identity() == case.attack.identity()
        assert weaker != case.attack

    def test_its_identity_knows_every_parameter(self) -> None:
        given: list[dict[str, Any]] = [
            {"type": "pgd"},
            {"type": "pgd", "steps": 7},
            {"type": "pgd", "norm": "l2"},
            {"type": "pgd", "domain": "waveform"},
            {"type": "pgd", "labels": "predicted"},
            {"type": "pgd", "goal": "all_targets"},
            {"type": "pgd", "goal": {"label": "sad"}},
            {"type": "fgsm"},
            {"type": "fgsm", "clip": 0.1},
        ]
        assert len({parse(one).identity() for one in given}) == len(given)

    def test_it_is_described_by_what_is_not_its_default(self) -> None:
        assert parse({"type": "fgsm", **FEATURES}).describe() == "FGSM"
        given = {"type": "pgd", "steps": 7, "norm": "l2", "goal": {"label": "sad"}}
        assert parse(given).describe() == "PGD, goal sad, steps 7"

    def test_needs_no_other_model(self) -> None:
        assert parse({"type": "pgd"}).sources == ()

    def test_the_base_is_none(self) -> None:
        one = Attack(type="none", epsilon=(0.1,))
        with pytest.raises(NotImplementedError):
            one.run_cost(3)
        with pytest.raises(NotImplementedError):
            one.run(LinearView.random(2, 2), torch.zeros(1, 2), torch.zeros(1), torch.ones(1),
                    Rng(0, [0]))  # fmt: skip


CALLED: dict[str, Callable[[], Attack]] = {
    "a tuple": lambda: Pgd(epsilon=(0.1, 0.2)),
    "a list": lambda: parse({"type": "pgd", "epsilon": [0.1, 0.2]}),
    "a tuple in a mapping": lambda: parse({"type": "pgd", "epsilon": (0.1, 0.2)}),
}


@pytest.mark.parametrize("make", CALLED.values(), ids=CALLED)
def test_strengths_may_be_given_as(make: Callable[[], Attack]) -> None:
    assert make().epsilon == (0.1, 0.2)
