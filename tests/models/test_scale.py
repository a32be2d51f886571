"""What an epsilon of a model is to the speech that it is audited on."""

import pytest
import torch

from models.corpus.dataset import Dataset
from models.features import Standardizer
from models.scale import Scale, scale

MELS = 5


def clips(deviations: torch.Tensor) -> Dataset:
    """Bands with these deviations exactly, around means of their own."""
    noise = torch.randn(400, MELS, generator=torch.Generator().manual_seed(1))
    noise = (noise - noise.mean(dim=0)) / noise.std(dim=0, correction=0)
    features = noise * deviations + torch.arange(MELS)
    return Dataset(features, torch.tensor([0, 100, 400]), torch.tensor([0, 1]))


def test_speech_like_the_training_speech_is_about_one(device: torch.device) -> None:
    data = clips(torch.tensor([0.5, 1, 2, 3, 4])).to(device)
    found = scale(data, data.standardizer())
    assert (found.lowest, found.median, found.highest) == pytest.approx((1, 1, 1), abs=0.01)


def test_a_model_that_states_too_little_is_seen(device: torch.device) -> None:
    data = clips(torch.ones(MELS)).to(device)
    stated = torch.tensor([1, 1, 0.5, 0.1, 0.02])
    found = scale(data, Standardizer(torch.zeros(MELS), stated).to(device))
    assert found.to_dict() == {"lowest": 1.0, "median": 2.0, "highest": 50.0}


def test_silence_does_not_vary() -> None:
    silent = Dataset(torch.zeros(9, MELS), torch.tensor([0, 9]), torch.tensor([0]))
    assert scale(silent, Standardizer(torch.zeros(MELS), torch.ones(MELS))) == Scale(0, 0, 0)


def test_one_frame_does_not_either() -> None:
    one = Dataset(torch.ones(1, MELS), torch.tensor([0, 1]), torch.tensor([0]))
    assert scale(one, Standardizer(torch.zeros(MELS), torch.ones(MELS))) == Scale(0, 0, 0)
