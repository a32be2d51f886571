"""The contract of every registered architecture: one added is held to it by itself.

A toy recurrent network, registered here, is held to it too: recurrence is what the three networks
of the paper do not have.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.architectures import ARCHITECTURES, MIN_FRAMES, SpectrogramNet, build
from models.attacks.fgsm import Fgsm
from models.checkpoint import ModelConfig, network, weights_bytes
from models.corpus.dataset import Dataset
from models.features import MELS
from models.precision import full_float32
from models.rng import Rng
from models.training import Step, TrainingState, train
from models.training_plan import TrainingPlan
from models.victims import SpectrogramVictim
from models.victims.network import NetworkView


class Gru(SpectrogramNet):
    """Recurrent over the frames; the embedding is the mean of what it says of each."""

    mels = MELS
    embedding_size = 6

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(MELS, 3, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        told: Tensor = self.recurrent(images.squeeze(1))[0]
        return told.mean(dim=1)


@pytest.fixture(params=[*ARCHITECTURES, "toy-gru"])
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each architecture in turn."""
    given: str = request.param
    if given == "toy-gru":
        ARCHITECTURES.register(given)(Gru)
    yield given
    ARCHITECTURES.pop("toy-gru", None)


def seeded(name: str, n_classes: int = 3, seed: int = 0) -> SpectrogramNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(name, n_classes)


def noise(clips: int, frames: int, mels: int = MELS) -> Tensor:
    return torch.randn(clips, frames, mels, generator=torch.Generator().manual_seed(1))


def corpus() -> Dataset:
    """Four clips in two classes."""
    return Dataset(noise(4, 33).flatten(0, 1), torch.arange(5) * 33, torch.arange(4) % 2)


def plan(name: str) -> TrainingPlan:
    return TrainingPlan.model_validate(
        {
            "architecture": name,
            "n_classes": 2,
            "defense": {"type": "similarity"},
            "iterations": 3,
            "adversarial_from": 1,
            "batch_size": 2,
            "frames": 33,
        }
    )


def state_after(state: TrainingState, at: int = 0, path: Path | None = None) -> dict[str, Tensor]:
    """Everything the network holds at the end of its training, saved on the way."""

    def save(step: Step) -> None:
        if path is not None and step.iteration == at:
            state.save(path)

    device = next(state.net.parameters()).device
    data = corpus().to(device)
    net = train(state, data, data.standardizer().to(device), save)
    return {key: value.cpu() for key, value in net.state_dict().items()}


class TestItsInput:
    @pytest.mark.parametrize("frames", [MIN_FRAMES, MIN_FRAMES + 1, 187])
    def test_has_any_number_of_frames(self, name: str, frames: int) -> None:
        net = seeded(name).eval()
        with torch.no_grad():
            logits, embedding = net.forward_features(noise(2, frames))
        assert logits.shape == (2, 3)
        assert embedding.shape == (2, net.embedding_size)
        assert bool(torch.isfinite(logits).all())

    @pytest.mark.parametrize("shape", [(2, MIN_FRAMES - 1, MELS), (MIN_FRAMES, MELS), (2, 40, 31)])
    def test_that_is_none_is_refused_with_its_shape(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        with pytest.raises(ValueError, match=re.escape(f"input has shape {shape}")):
            seeded(name)(torch.zeros(shape))

    def test_has_64_mel_bands_and_another_number_is_computed_or_told(self, name: str) -> None:
        net = seeded(name).eval()
        x = noise(2, 40, MELS + 1)
        if net.mels is None:
            assert net(x).shape == (2, 3)
        else:
            assert net.mels == MELS
            with pytest.raises(ValueError, match=f"exactly {MELS} mel bands"):
                net(x)


class TestItsAnswer:
    def test_is_its_last_layer_of_its_embedding(self, name: str) -> None:
        net = seeded(name).eval()
        x = noise(2, 40)
        logits, embedding = net.forward_features(x)
        torch.testing.assert_close(logits, net.classifier(embedding))
        assert torch.equal(net(x), logits)

    def test_of_a_clip_does_not_depend_on_the_batch(self, name: str) -> None:
        net = seeded(name).eval()
        x = noise(3, 40)
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-5)

    def test_draws_nothing_in_either_mode(self, name: str) -> None:
        """A training that is resumed would go on with other draws."""
        net = seeded(name)
        x = noise(2, 40)
        before = torch.random.get_rng_state()
        for mode in (True, False):
            net.train(mode)(x)
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_follows_from_the_seed_of_its_first_weights(self, name: str) -> None:
        x = noise(2, 40)
        first, again, other = (seeded(name, seed=seed).eval()(x) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_is_that_of_its_state_alone(self, name: str) -> None:
        """What a prediction needs is in the file of the weights."""
        net = seeded(name)
        net(noise(4, 40))  # batch norm has learnt
        config = ModelConfig(name, ("a", "b", "c"), (0.0,) * MELS, (1.0,) * MELS)
        loaded = network(weights_bytes(net), config)
        x = noise(2, 40)
        with torch.no_grad():
            assert torch.equal(loaded(x), net.eval()(x))


class TestItsTraining:
    def test_that_is_resumed_ends_with_the_same_weights_to_the_bit(
        self, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "checkpoint.safetensors"
        whole = state_after(TrainingState(plan(name)), at=2, path=path)
        resumed = TrainingState(plan(name))
        resumed.load(path)
        assert resumed.iteration == 2
        for key, value in state_after(resumed).items():
            assert torch.equal(value, whole[key]), key

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_runs_on_a_gpu(self, name: str) -> None:
        with full_float32():
            for key, value in state_after(TrainingState(plan(name), "cuda")).items():
                assert bool(torch.isfinite(value).all()), key


class TestAttackingIt:
    def test_moves_every_value_by_epsilon_and_leaves_it_as_it_was(
        self, name: str, device: torch.device
    ) -> None:
        net = seeded(name).to(device).train()
        flags = [module.training for module in net.modules()]
        held = {key: value.clone() for key, value in net.state_dict().items()}
        x, y = noise(2, 40).to(device), torch.tensor([0, 1], device=device)
        radius = torch.full((2,), 0.1, device=device)
        x_adv = Fgsm().run(NetworkView(net), x, y, radius, Rng(0, range(2)))
        moved = (x_adv - x).abs()
        assert float(moved.max()) == pytest.approx(0.1, abs=1e-5)
        assert float((moved > 0.09).float().mean()) > 0.5
        assert [module.training for module in net.modules()] == flags
        assert all(parameter.requires_grad for parameter in net.parameters())
        assert all(parameter.grad is None for parameter in net.parameters())
        for key, value in net.state_dict().items():
            assert torch.equal(value, held[key]), key

    def test_gives_gradients_in_both_views_of_its_victim(
        self, name: str, device: torch.device
    ) -> None:
        """Also of a recurrent layer on a GPU, which cuDNN differentiates in train mode alone."""
        net = seeded(name).to(device).eval()
        data = corpus().to(device)
        standardizer = data.standardizer().to(device)
        victim = SpectrogramVictim(net, standardizer, ("a", "b", "c"), 40)
        x, y = noise(2, 40).to(device), torch.tensor([0, 1], device=device)
        ours = NetworkView(net).gradient(x, Fgsm().objective(y))
        theirs = victim.view("features").gradient(x, Fgsm().objective(y))
        torch.testing.assert_close(ours.gradient, theirs.gradient)
        samples = 0.1 * torch.randn(2, 9_000, generator=torch.Generator().manual_seed(3))
        sound = victim.view("waveform").gradient(samples.to(device), Fgsm().objective(y))
        assert bool((sound.gradient != 0).any())
