"""What an epsilon of a model is to the speech that it is audited on."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from models.audit.scale import scale
from models.features import Standardizer

MELS = 5


def clips(deviations: Tensor) -> list[Tensor]:
    """Bands with these deviations exactly, around means of their own: two clips."""
    noise = torch.randn(400, MELS, generator=torch.Generator().manual_seed(1))
    noise = (noise - noise.mean(dim=0)) / noise.std(dim=0, correction=0)
    features = noise * deviations + torch.arange(MELS)
    return [features[:100], features[100:]]


def standardizer(deviations: Tensor) -> Standardizer:
    return Standardizer(torch.zeros(MELS), deviations)


def test_speech_like_the_training_speech_is_about_one(device: torch.device) -> None:
    deviations = torch.tensor([0.5, 1, 2, 3, 4])
    data = [clip.to(device) for clip in clips(deviations)]
    found = scale(data, standardizer(deviations).to(device))
    assert (found.lowest, found.median, found.highest) == pytest.approx((1, 1, 1), abs=0.01)


def test_a_model_that_states_too_little_is_seen(device: torch.device) -> None:
    data = [clip.to(device) for clip in clips(torch.ones(MELS))]
    found = scale(data, standardizer(torch.tensor([1, 1, 0.5, 0.1, 0.02])).to(device))
    assert found.model_dump() == {"lowest": 1.0, "median": 2.0, "highest": 50.0}


def test_silence_does_not_vary() -> None:
    found = scale([torch.zeros(9, MELS)], standardizer(torch.ones(MELS)))
    assert found.model_dump() == {"lowest": 0, "median": 0, "highest": 0}


def test_one_frame_does_not_either() -> None:
    found = scale([torch.ones(1, MELS)], standardizer(torch.ones(MELS)))
    assert found.model_dump() == {"lowest": 0, "median": 0, "highest": 0}


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_clips_that_come_one_by_one_are_as_all_together(pieces: int) -> None:
    deviations = torch.tensor([0.5, 1, 2, 3, 40])
    frames = torch.cat(clips(deviations)) - 1000  # a sum of squares would cancel
    model = standardizer(torch.linspace(0.3, 5, MELS))
    expected = sorted((frames.double().std(dim=0, correction=0) / model.std.double()).tolist())

    def one_by_one() -> Iterator[Tensor]:
        yield from frames.tensor_split(pieces)

    found = scale(one_by_one(), model)
    assert found.lowest == float(f"{expected[0]:.3g}")
    assert found.median == float(f"{expected[2]:.3g}")
    assert found.highest == float(f"{expected[4]:.3g}")
