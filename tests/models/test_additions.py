"""The examples of docs/adding-*.md work as they stand there."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from models.architectures import SpectrogramNet, build
from models.checkpoint import ModelConfig, network, weights_bytes
from models.corpus import Adapter, describe, detect
from models.corpus.dataset import Dataset
from models.corpus.labels import Labels
from models.defenses import Defense
from models.training import TrainingState, train
from models.training_plan import TrainingPlan
from tests.models.defenses.by_hand import given
from tests.models.pages import added
from tests.models.tiny import clips, tiny_net

FRAMES = 32


def corpus(mels: int = 32) -> Dataset:
    """Six clips of noise in three classes."""
    features, labels = clips(6, FRAMES, mels)
    return Dataset(features.flatten(0, 1), torch.arange(7) * FRAMES, labels)


def losses(architecture: str, defense: str, data: Dataset) -> list[float]:
    """Of a training of three iterations."""
    plan = TrainingPlan.model_validate(
        {
            "architecture": architecture,
            "n_classes": 3,
            "defense": {"type": defense},
            "iterations": 3,
            "adversarial_from": 1,
            "frames": FRAMES,
        }
    )
    found: list[float] = []
    train(TrainingState(plan), data, data.standardizer(), lambda step: found.append(step.loss))
    return found


@pytest.fixture
def pairing() -> Iterator[type[Defense]]:
    """The example of docs/adding-a-defense.md."""
    with added("adding-a-defense.md") as names:
        yield names["LogitPairing"]


@pytest.fixture
def small() -> Iterator[type[SpectrogramNet]]:
    """The example of docs/adding-an-architecture.md."""
    with added("adding-an-architecture.md") as names:
        yield names["Small"]


@pytest.fixture
def kitchen() -> Iterator[Adapter]:
    """The example of docs/adding-a-corpus.md."""
    with added("adding-a-corpus.md") as names:
        yield names["parse"]


@pytest.mark.usefixtures("tiny_architecture")
class TestAddingADefence:
    def test_a_training_uses_the_example(self, pairing: type[Defense]) -> None:
        assert len(losses("tiny", "logit-pairing", corpus())) == 3
        assert pairing.model_validate({}).model_dump() == {"type": "logit-pairing", "weight": 0.5}

    def test_the_example_is_what_it_says(self, pairing: type[Defense]) -> None:
        x, y = clips()
        net = tiny_net().eval()
        loss = pairing.model_validate({"weight": 2}).loss(net, x, y, given(net, x + 0.1))
        z, z_adv = net(x), net(x + 0.1)
        both = functional.cross_entropy(z, y) + functional.cross_entropy(z_adv, y)
        torch.testing.assert_close(loss, both / 2 + 2 * ((z - z_adv) ** 2).mean())


class TestAddingAnArchitecture:
    def test_the_example_is_built_trained_saved_and_loaded(
        self, small: type[SpectrogramNet]
    ) -> None:
        assert len(losses("small", "similarity", corpus(64))) == 3
        net = build("small", 3).eval()
        assert isinstance(net, small)
        config = ModelConfig("small", ("a", "b", "c"), (0.0,) * 64, (1.0,) * 64)
        again = network(weights_bytes(net), config)
        for frames in (32, 33, 373):
            x = clips(2, frames, 64)[0]
            assert torch.equal(again(x), net(x))
            assert net.forward_features(x)[1].shape == (2, 32)


class TestAddingACorpus:
    def test_the_example_reads_the_names_of_its_page(self, kitchen: Adapter) -> None:
        names = ["anna_f_03_ang.wav", "day2/ben_m_12_hap.wav", "ben_m_01_neu.flac"]
        assert kitchen(names[0]) == Labels("anna", "f", "anger", "03")
        assert [kitchen(name) for name in ("anna_x_03_ang.wav", "anna_f_3_ang.wav")] == [None] * 2
        assert detect(names) == "kitchen"
        manifest, _ = describe(names, "kitchen")
        assert manifest.emotions == ("anger", "happiness", "neutral")
