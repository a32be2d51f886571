"""Audits of models that hear relative to the recording's own level, and no silence."""

import torch
from torch import Tensor, nn

from models.attacks import parse
from models.audit import Audit, AuditRow
from models.audit.corrupted import CorruptedClips
from models.audit.forecast import forecast
from models.corruptions import parse as corruption
from models.features import LogMel, Standardizer
from models.front_ends import FRONT_ENDS
from models.victims import SpectrogramVictim, Windows
from tests.models.audit.recordings import LABELS, Recordings, rows_of

FRAMES = 40
LOGMEL_2 = FRONT_ENDS["logmel-2"]


class Loudest(nn.Module):
    """Compares three parts of the spectrum."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [part.mean(dim=(1, 2)) for part in torch.split(x, [20, 20, 24], dim=2)], dim=1
        )


def fading(seed: int) -> Tensor:
    """Noise that fades in and out through the threshold of silence."""
    time = torch.arange(48_000) / 16_000
    noise = torch.randn(48_000, generator=torch.Generator().manual_seed(seed))
    return 0.2 * torch.exp(-4.5 * (time - 1).abs()) * noise


CLIPS = Recordings([fading(seed) for seed in range(24)], [None] * 24)


def victim(windows: Windows = "all") -> SpectrogramVictim:
    heard = torch.cat([LOGMEL_2(LogMel()(sound)) for sound in CLIPS.waveforms])
    statistics = Standardizer(heard.mean(dim=0), heard.std(dim=0))
    net = Loudest().eval()
    return SpectrogramVictim(net, statistics, LABELS, FRAMES, front_end="logmel-2", windows=windows)


def rows(*attacks: object, windows: Windows = "all") -> list[AuditRow]:
    audit = Audit(victim(windows), CLIPS, [parse(one) for one in attacks], batch=16)
    return list(rows_of(audit))


def test_sounds_of_which_another_part_is_heard_than_of_the_clip_are_scored() -> None:
    found = rows({"type": "fgsm", "epsilon": [1.0]})
    played = [one.audio for row in found for one in row.attacked if one.success]
    assert len(played) >= 8
    assert all(one is not None for one in played)


def test_both_views_are_attacked() -> None:
    found = rows(
        {"type": "fgsm", "epsilon": [0.0]},
        {"type": "fgsm", "domain": "waveform", "epsilon": [0.0]},
        windows="first",
    )
    for row in found:
        assert [one.label for one in row.attacked] == [row.clean.label] * 2


def test_a_forecast_hears_corruptions_through_the_front_end() -> None:
    told = forecast([corruption({"type": "gain", "db": [-6]})], 24, 24, victim())
    assert told.cost.forwards == 48
    assert 0 < told.seconds < 60


def test_of_a_corrupted_clip_what_is_scored_is_kept() -> None:
    one = SpectrogramVictim(
        Loudest().eval(), victim().standardizer, LABELS, FRAMES, windows="first"
    )
    clips = CorruptedClips(CLIPS, corruption({"type": "gain", "db": [-6]}), -6.0, 0, one)
    log_mels = clips.log_mels(3)
    assert len(log_mels) == FRAMES
    assert torch.equal(clips.made[3], one.waveform(clips.waveform(3)))
