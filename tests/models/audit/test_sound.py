"""Log-mels that were changed, as sound."""

from typing import Literal

import pytest
import torch

from models.audit.sound import played
from models.features import HOP, MELS, WINDOW, LogMel, Standardizer, tile
from models.victims import SpectrogramVictim
from tests.models.audit.recordings import FRAMES, LABELS, Bands, Recordings, sounds, victim

WINDOWS = pytest.mark.parametrize("windows", ["all", "first"])
Windows = Literal["all", "first"]


@WINDOWS
def test_an_unchanged_sound_is_to_the_network_what_the_clip_was(windows: Windows) -> None:
    clips = Recordings(sounds())
    model = victim(clips, windows=windows)
    for index, waveform in enumerate(sounds()):
        x = model.features(clips.log_mels(index))
        clean, sound = played(model, waveform, torch.zeros_like(x))
        torch.testing.assert_close(model.features(LogMel()(sound)), x, rtol=0, atol=1e-3)
        assert torch.equal(clean, waveform[: len(clean)])


def test_a_change_is_heard_in_log_mels_not_in_standard_deviations() -> None:
    """Half a deviation of four is two: e^2 louder."""
    scale = Standardizer(torch.full((MELS,), -6.0), torch.full((MELS,), 4.0))
    model = SpectrogramVictim(Bands(), scale, LABELS, FRAMES, windows="first")
    clean, sound = played(model, sounds()[-1], torch.full((FRAMES, MELS), 0.5))
    louder = LogMel()(sound) - LogMel()(clean)
    assert float(louder.median()) == pytest.approx(2.0, abs=0.01)


def test_the_repeats_of_a_tiled_clip_are_played_as_their_mean() -> None:
    model = victim(Recordings(sounds()))
    waveform = sounds()[0]
    frames = len(LogMel()(waveform))
    change = torch.randn(FRAMES, MELS, generator=torch.Generator().manual_seed(1))
    repeats = [change[start : start + frames] for start in range(0, FRAMES, frames)]
    mean = torch.stack(
        [
            torch.stack([one[frame] for one in repeats if frame < len(one)]).mean(dim=0)
            for frame in range(frames)
        ]
    )
    ours = played(model, waveform, change)[1]
    theirs = played(model, waveform, tile(mean, FRAMES))[1]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@WINDOWS
def test_a_short_clip_keeps_its_length_and_a_long_one_is_cut_where_it_is_scored(
    windows: Windows,
) -> None:
    clips = Recordings(sounds())
    model = victim(clips, windows=windows)
    lengths = [
        len(
            played(model, sounds()[index], torch.zeros_like(model.features(clips.log_mels(index))))[
                1
            ]
        )
        for index in (0, 13)
    ]
    cut = (FRAMES - 1) * HOP + WINDOW
    assert lengths == [1500, cut if windows == "first" else len(sounds()[13])]
