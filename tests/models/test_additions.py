"""The examples of docs/adding-*.md work as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from models.architectures import ARCHITECTURES, build
from models.attacks import ATTACKS
from models.audit import Attack, Audit
from models.checkpoint import ModelConfig, network, weights_bytes
from models.corpus.dataset import Dataset
from models.defenses import DEFENSES
from models.training import Defense, TrainingPlan, TrainingState, train
from tests.models import test_attacks
from tests.models.tiny import clips, tiny_net

DOCS = Path(__file__).resolve().parents[2] / "docs"
FRAMES = 32


def example(page: str) -> dict[str, Any]:
    """The names that the page's Python code defines."""
    code = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    assert len(code) == 1
    names: dict[str, Any] = {}
    exec(compile(code[0], page, "exec"), names)
    return names


def corpus(mels: int = 32) -> Dataset:
    """Six clips of noise in three classes."""
    features, labels = clips(6, FRAMES, mels)
    return Dataset(features.flatten(0, 1), torch.arange(7) * FRAMES, labels)


def trained(plan: TrainingPlan, data: Dataset) -> list[float]:
    """The losses of a run."""
    losses: list[float] = []
    train(TrainingState(plan), data, data.standardizer(), lambda step: losses.append(step.loss))
    return losses


class TestAddingAnAttack:
    def test_an_audit_runs_the_example(self, monkeypatch: pytest.MonkeyPatch) -> None:
        attack = example("adding-an-attack.md")["gradient_grid"]
        monkeypatch.setitem(ATTACKS, "gradient", attack)
        net, data = tiny_net().eval(), corpus()
        epsilons = (0.0, 0.5, 2.0)
        audit = Audit(net, data.standardizer(), data, [Attack(epsilons, "gradient")], FRAMES)
        rows = [row for batch in audit.rows() for row in batch]
        assert len(rows) == 6
        assert all(row.attacked[0].scores == row.clean.scores for row in rows)
        right = [row.label for row in rows]
        by_strength = [
            sum(
                row.attacked[number].scores[label or 0]
                for row, label in zip(rows, right, strict=True)
            )
            for number in range(3)
        ]
        assert by_strength == sorted(by_strength, reverse=True)

    def test_the_example_keeps_the_rules_that_registered_attacks_are_held_to(self) -> None:
        attack = example("adding-an-attack.md")["gradient_grid"]
        rules = test_attacks.TestEveryRegisteredAttack()
        rules.test_epsilon_zero_answers_an_equal_copy(attack)
        rules.test_attacks_a_clip_in_a_batch_as_it_does_alone(attack)
        rules.test_raises_the_loss_the_more_the_larger_epsilon_is(attack)
        rules.test_knows_no_box(attack)
        for dtype in (torch.float64, torch.float32):
            rules.test_answers_one_input_for_each_epsilon(attack, dtype, torch.device("cpu"))

    def test_the_example_moves_the_largest_value_by_epsilon(self) -> None:
        x, y = clips()
        attack = example("adding-an-attack.md")["gradient_grid"]
        moved = (attack(tiny_net(), x, y, [0.0, 0.1, 0.5], 0.3) - x).abs().flatten(2).amax(dim=2)
        expected = torch.tensor([[0.0], [0.1], [0.3]]).expand(3, 4)
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("tiny_architecture")
class TestAddingADefence:
    def test_a_training_uses_the_example(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(DEFENSES, "trades", example("adding-a-defense.md")["trades"])
        defense = Defense("trades", alpha=0.25)
        plan = TrainingPlan("tiny", 3, defense, iterations=4, adversarial_from=1, frames=FRAMES)
        assert len(trained(plan, corpus())) == 4
        assert defense.to_dict() == {"type": "trades", "alpha": 0.25}

    def test_the_example_is_what_it_says(self) -> None:
        trades = example("adding-a-defense.md")["trades"]
        x, y = clips()
        net = tiny_net().eval()
        p, q = net(x).softmax(1), net(x + 0.1).softmax(1)
        divergence = (p * (p / q).log()).sum(dim=1).mean()
        clean = -p[torch.arange(4), y].log().mean()
        expected = 0.3 * clean + 0.7 * divergence
        torch.testing.assert_close(trades(net, x, x + 0.1, y, 0.3), expected)
        with pytest.raises(ValueError, match="alpha is nan"):
            trades(net, x, x, y, float("nan"))


class TestAddingAnArchitecture:
    def test_the_example_is_built_trained_saved_and_loaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(ARCHITECTURES, "small", example("adding-an-architecture.md")["Small"])
        data = corpus(64)
        plan = TrainingPlan(
            "small", 3, Defense("similarity"), iterations=3, adversarial_from=1, frames=FRAMES
        )
        assert len(trained(plan, data)) == 3

        net = build("small", 3).eval()
        config = ModelConfig("small", ("a", "b", "c"), (0.0,) * 64, (1.0,) * 64)
        again = network(weights_bytes(net), config)
        for frames in (32, 33, 373):
            x = clips(2, frames, 64)[0]
            assert torch.equal(again(x), net(x))
            assert net.forward_features(x)[1].shape == (2, 32)
