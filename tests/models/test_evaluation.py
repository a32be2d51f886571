"""UAR of a network, clean and attacked: what trainings and starters report."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from models.attacks import ATTACKS, Attack
from models.attacks.fgsm import Fgsm
from models.audit import AuditError
from models.checkpoint import load_model
from models.corpus.dataset import Dataset
from models.evaluation import Evaluation, evaluate
from models.features import MELS, Standardizer
from models.front_ends import FRONT_ENDS
from models.metrics import uar
from models.starter import PRETRAINED
from models.starter_card import EPSILONS
from models.starter_corpus import read_corpus
from tests.models.tiny import TinyNet, tiny_net

FRAMES = 40
LABELS = ("a", "b", "c")
CREMAD = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "cremad"


def dataset(n: int = 14, labels: list[int] | None = None) -> Dataset:
    """Clips of 30 to 50 frames, shorter and longer than the window."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(30, 51, (n,), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    features = torch.randn(int(lengths.sum()), MELS, generator=generator)
    return Dataset(features, offsets, torch.tensor(labels or [n % 3 for n in range(n)]))


def scored(data: Dataset | None = None, **options: Any) -> Evaluation:
    data = data or dataset()
    net = options.pop("net", None) or tiny_net()
    return evaluate(net, data.standardizer(), LABELS, data, frames=FRAMES, **options)


class Spoilt(TinyNet):
    """Its scores are not numbers for a clip with a value above a limit."""

    def __init__(self, value: float, above: float = -100.0) -> None:
        super().__init__(3)
        self.value, self.above = value, above

    def forward(self, x: Tensor) -> Tensor:
        loud = (x > self.above).flatten(1).any(dim=1, keepdim=True)
        return torch.where(loud, self.value, super().forward(x))


class TestEvaluate:
    def test_is_the_uar_of_plain_predictions(self) -> None:
        data = dataset()
        standardizer: Standardizer = data.standardizer()
        features, y = data.batch(torch.arange(14), FRAMES)
        expected = uar(y, tiny_net().eval()(standardizer(features)).argmax(dim=1), 3)
        assert scored() == (expected, {})
        assert scored(attack=Fgsm()) == (expected, {})

    def test_under_attack_is_that_of_the_attack_written_out(self) -> None:
        data, net = dataset(), tiny_net().eval()
        features, y = data.batch(torch.arange(14), FRAMES)
        x = data.standardizer()(features).requires_grad_(True)
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y), x)
        expected = {
            epsilon: uar(y, net(x + epsilon * gradient.sign()).argmax(dim=1), 3)
            for epsilon in (0.1, 0.3, 1.0)
        }
        found = scored(attack=Fgsm(), strengths=(0.1, 0.3, 1.0))
        assert found.attacked == expected
        assert found.attacked[1.0] < found.clean

    @pytest.mark.parametrize("attack", [{"type": "pgd", "steps": 3, "restarts": 2}, "noise"])
    def test_does_not_depend_on_the_batches(self, attack: Any) -> None:
        chosen = ATTACKS.parse(attack if isinstance(attack, dict) else {"type": attack})
        whole = scored(attack=chosen, strengths=(0.3, 0.6))
        parts = scored(attack=chosen, strengths=(0.3, 0.6), batch_size=4)
        assert whole == parts

    def test_attacks_the_label_that_the_attack_names(self) -> None:
        true, own = (
            scored(attack=Fgsm(labels=labels), strengths=(0.3,)).attacked[0.3]
            for labels in ("true", "predicted")
        )
        assert true < own

    def test_leaves_the_network_as_it_was(self) -> None:
        net = tiny_net().train()
        held = {name: value.clone() for name, value in net.state_dict().items()}
        scored(net=net, attack=Fgsm(), strengths=(0.3,))
        assert net.training
        assert all(parameter.requires_grad for parameter in net.parameters())
        assert all(torch.equal(value, held[name]) for name, value in net.state_dict().items())

    def test_tells_how_many_clips_are_scored_and_ends_where_it_is_told_to(self) -> None:
        told: list[int] = []
        scored(batch_size=5, on_batch=told.append)
        assert told == [5, 10, 14]

        class Stop(Exception):
            """Enough."""

        def stop(_: int) -> None:
            raise Stop

        with pytest.raises(Stop):
            scored(on_batch=stop)

    def test_an_attack_that_leaves_its_ball_is_brought_back(self) -> None:
        class Rogue(Attack):
            type: Literal["rogue"] = "rogue"

            def run(self, view: object, x: Tensor, *_: object) -> Tensor:
                return x + 50.0

        seen: list[Tensor] = []
        net = tiny_net()
        net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        scored(net=net, attack=Rogue(), strengths=(0.5,))
        clean, attacked = seen
        torch.testing.assert_close(attacked - clean, torch.full_like(clean, 0.5))


class TestWhatCannotBeEvaluated:
    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_scores_that_are_no_numbers_are_no_figure(self, value: float) -> None:
        with pytest.raises(AuditError, match=r"14 of 14 clips .* weights overflow") as caught:
            scored(net=Spoilt(value).eval())
        assert caught.value.code == "non_finite_scores"

    def test_also_if_only_the_attacked_clip_has_them(self) -> None:
        data = dataset()
        above = float(data.standardizer()(data.features).max()) + 0.1
        net = Spoilt(torch.nan, above).eval()
        scored(net=net, attack=Fgsm(), strengths=(0.05,))
        with pytest.raises(AuditError, match="NaN or infinity"):
            scored(net=net, attack=Fgsm(), strengths=(0.05, 1.0))

    def test_labels_are_needed(self) -> None:
        with pytest.raises(ValueError, match="labelled"):
            scored(dataset(labels=[-1] * 14))


@pytest.mark.corpus
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not CREMAD.is_dir(), reason="needs CREMA-D in ../shared/corpora/cremad")
@pytest.mark.parametrize("name", ["cnn4-vanilla-cremad", "cnn4-pgd-cremad"])
def test_the_starters_have_the_figures_that_their_cards_publish(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The other two are held by an audit (audit/test_published_figures.py)."""
    net, config = load_model(PRETRAINED / name)
    corpus = read_corpus(CREMAD, tmp_path_factory.getbasetemp() / "cremad")
    found = evaluate(
        net,
        config.standardizer,
        config.labels,
        corpus.splits["test"].through(FRONT_ENDS[config.front_end]),
        frames=config.frames,
        attack=Fgsm(),
        strengths=EPSILONS,
    )
    published = config.metrics["test"]
    assert round(found.clean, 4) == published["clean_uar"]
    assert {f"{at:g}": round(uar, 4) for at, uar in found.attacked.items()} == published["fgsm_uar"]
