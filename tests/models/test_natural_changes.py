"""What becomes of a model's answers, against a network whose answers are known."""

import pytest
import torch
from torch import Tensor, nn

from models.corruptions import parse
from models.natural_changes import changes, label
from tests.models.victims.spectrogram import victim


class HighOrLow(nn.Module):
    """Class 0 where the low bands are louder, 1 where the high ones are."""

    def forward(self, x: Tensor) -> Tensor:
        low, high = x[:, :, :20].mean(dim=(1, 2)), x[:, :, 40:].mean(dim=(1, 2))
        return torch.stack([low, high, torch.full_like(low, -100)], dim=1)


def tone(hz: float) -> Tensor:
    """Noise within half an octave of so many hertz."""
    noise = torch.randn(12_000, generator=torch.Generator().manual_seed(1))
    spectrum = torch.fft.rfft(noise)
    bins = torch.arange(len(spectrum)) * 16_000 / 12_000
    spectrum[(bins < 0.8 * hz) | (bins > 1.2 * hz)] *= 1e-3
    found: Tensor = 0.3 * torch.fft.irfft(spectrum)
    return found


def test_a_label_is_that_of_the_largest_score() -> None:
    assert [int(label(victim(HighOrLow()), tone(hz))) for hz in (300.0, 6_000.0)] == [0, 1]


def test_counts_what_changed_and_what_broke() -> None:
    """Without what lies above 4 kHz the high tone is heard as low; the third clip was wrong."""
    (change,) = changes(
        victim(HighOrLow()),
        [lambda: tone(300), lambda: tone(6_000), lambda: tone(300)],
        (0, 1, 1),
        [parse({"type": "band", "rate_hz": [8_000]})],
    )
    assert change.clips == 3
    assert change.changed == pytest.approx(1 / 3)
    assert change.right_before == 2
    assert change.broken == pytest.approx(1 / 2)
    assert change.accuracy == pytest.approx(1 / 3)
    assert change.uar == pytest.approx(1 / 2)
    assert change.to_dict()["changed"] == 0.3333


def test_a_factor_changes_nothing() -> None:
    both = changes(
        victim(HighOrLow()),
        [lambda: tone(300), lambda: tone(6_000)],
        (0, 1),
        [parse({"type": "gain", "db": [-12, -3]})],
    )
    assert [(one.strength, one.unit) for one in both] == [(-12, "dB"), (-3, "dB")]
    assert all(one.changed == 0 and one.uar == 1 for one in both)


def test_a_share_of_none_is_none() -> None:
    (change,) = changes(
        victim(HighOrLow()), [lambda: tone(300)], (1,), [parse({"type": "gain", "db": [-3]})]
    )
    assert change.broken is None
