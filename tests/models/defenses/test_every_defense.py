"""What holds for every registered defence, whatever its loss: one added is held to it by itself."""

from typing import Any, Literal

import pytest
import torch
from torch.nn import functional

from models.attacks import ATTACKS
from models.attacks.attack import Attack
from models.attacks.fgsm import Fgsm
from models.defenses import DEFENSES, Adversary
from models.rng import Rng
from tests.models.defenses.by_hand import Recording, adversary
from tests.models.tiny import clips, tiny_net

NAMES = list(DEFENSES)
DEFENDED = [name for name in NAMES if DEFENSES[name].inputs != "clean"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryDefense:
    def test_can_be_given_by_its_type_alone(self, name: str) -> None:
        defense = DEFENSES.parse({"type": name})
        assert defense.type == name
        assert DEFENSES.parse(defense.model_dump(mode="json")) == defense

    def test_describes_itself_and_each_of_its_parameters(self, name: str) -> None:
        schema = DEFENSES[name].model_json_schema()
        assert schema["description"]
        for field, told in schema["properties"].items():
            assert field == "type" or told["description"], field

    def test_its_loss_is_a_finite_scalar_from_which_every_weight_learns(self, name: str) -> None:
        x, y = clips()
        net = tiny_net().train()
        loss = DEFENSES.parse({"type": name}).loss(net, x, y, adversary(net, len(x)))
        assert loss.shape == ()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in net.parameters():
            assert parameter.grad is not None
            assert bool(torch.isfinite(parameter.grad).all())
            assert bool((parameter.grad != 0).any())

    def test_is_the_same_for_the_same_draws(self, name: str) -> None:
        x, y = clips()
        defense = DEFENSES.parse({"type": name})
        losses = [
            defense.loss(net, x, y, adversary(net, len(x), seed=3)).item()
            for net in (tiny_net().train(), tiny_net().train())
        ]
        assert losses[0] == losses[1]

    def test_weighs_classes_in_each_of_its_cross_entropies(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of attacks are a loss of each clip, whose sign no weight changes."""
        taken: list[torch.Tensor | None] = []
        real = functional.cross_entropy

        def noted(logits: Any, y: Any, weight: Any = None, **options: Any) -> torch.Tensor:
            if weight is not None or options.get("reduction", "mean") == "mean":
                taken.append(weight)
            return real(logits, y, weight, **options)

        monkeypatch.setattr(functional, "cross_entropy", noted)
        x, y = clips()
        net, weights = tiny_net().train(), torch.tensor([2.0, 0.5, 1.0])
        defense = DEFENSES.parse({"type": name})
        defense.weighing(weights).loss(net, x, y, adversary(net, len(x)))
        assert taken
        assert all(one is weights for one in taken)

    def test_equal_weights_change_nothing_and_it_is_left_as_it_was(self, name: str) -> None:
        x, y = clips()
        defense = DEFENSES.parse({"type": name})
        weighing = defense.weighing(torch.ones(3))
        plain, weighed, again = (
            one.loss(net, x, y, adversary(net, len(x))).item()
            for one in (defense, weighing, defense)
            for net in (tiny_net().train(),)
        )
        assert weighed == pytest.approx(plain, rel=1e-6)
        assert again == plain

    def test_leaves_the_flags_and_gradients_of_the_network_as_they_were(self, name: str) -> None:
        x, y = clips()
        net = tiny_net().train()
        net.get_submodule("blocks.1").eval()
        flags = [module.training for module in net.modules()]
        DEFENSES.parse({"type": name}).loss(net, x, y, adversary(net, len(x)))
        assert [module.training for module in net.modules()] == flags
        assert all(parameter.requires_grad for parameter in net.parameters())
        assert all(parameter.grad is None for parameter in net.parameters())

    def test_takes_global_generators_for_nothing(self, name: str) -> None:
        x, y = clips()
        before = torch.random.get_rng_state()
        net = tiny_net()
        DEFENSES.parse({"type": name}).loss(net, x, y, adversary(net, len(x)))
        assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", DEFENDED)
class TestEveryDefenseAgainstAnAdversary:
    def test_crafts_before_batch_norm_learns_from_the_batch(self, name: str) -> None:
        """What is attacked is the network as the last step left it."""
        net = Recording().train()
        x, y = clips()
        DEFENSES.parse({"type": name}).loss(net, x, y, adversary(net, len(x)))
        in_train_mode = [place for place, training in enumerate(net.modes) if training]
        in_eval_mode = [place for place, training in enumerate(net.modes) if not training]
        assert max(in_eval_mode) < min(in_train_mode)

    def test_batch_norm_counts_clean_and_adversarial_clips_apart(self, name: str) -> None:
        """One forward over both would count one batch."""
        net = Recording().train()
        x, y = clips()
        DEFENSES.parse({"type": name}).loss(net, x, y, adversary(net, len(x)))
        counted = int(net.get_buffer("blocks.1.num_batches_tracked"))
        assert counted == sum(net.modes)
        assert all(len(seen) == len(x) for seen in net.seen)


class TestRegistry:
    def test_holds_the_three_of_the_paper_and_two_more(self) -> None:
        assert {"single", "vanilla", "similarity"} <= set(NAMES)
        assert {"pgd", "trades"} <= set(NAMES)


class Rogue(Attack):
    """Leaves its ball, and meets a NaN."""

    type: Literal["rogue"] = "rogue"

    def run(
        self, view: object, x: torch.Tensor, y: torch.Tensor, radius: torch.Tensor, rng: Rng
    ) -> torch.Tensor:
        x_adv = x + 3.0
        x_adv[0] = x[0] + 0.05
        x_adv[1, 0, 0] = torch.nan
        return x_adv


class TestAdversary:
    def test_is_the_trainings_attack_at_its_strength(self) -> None:
        x, y = clips()
        net = tiny_net().eval()
        leaf = x.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(net(leaf), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert torch.equal(adversary(net.train(), 4).batch(x, y), x + 0.1 * gradient.sign())

    @pytest.mark.parametrize("labels", ["true", "predicted"])
    def test_moves_away_from_the_chosen_label(self, labels: str) -> None:
        x, y = clips()
        net = tiny_net().eval()
        guess = net(x).argmax(dim=1)
        assert not torch.equal(guess, y)
        attack = ATTACKS.parse({"type": "fgsm", "labels": labels})
        found = Adversary(net, attack, 0.1, Rng(0, range(4))).batch(x, y)
        target = y if labels == "true" else guess
        expected = Adversary(net, Fgsm(), 0.1, Rng(0, range(4))).batch(x, target)
        assert torch.equal(found, expected)

    def test_what_leaves_the_ball_is_brought_back_and_what_is_in_it_is_not_touched(self) -> None:
        x, y = clips()
        found = Adversary(tiny_net(), Rogue(), 0.1, Rng(0, range(4))).batch(x, y)
        assert torch.equal(found[0], x[0] + 0.05)
        assert float((found[2:] - x[2:]).abs().max()) == pytest.approx(0.1, abs=1e-5)
        assert bool(found[1, 0, 0].isnan())  # a failure is not hidden

    def test_a_clip_of_a_batch_is_attacked_as_alone(self) -> None:
        x, y = clips()
        net = tiny_net()
        whole = adversary(net, 4).batch(x, y)
        alone = adversary(net, 1).batch(x[2:3], y[2:3])
        torch.testing.assert_close(whole[2:3], alone, rtol=0, atol=1e-6)
