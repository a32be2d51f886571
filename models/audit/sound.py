"""The sound of an attack on log-mels: they are played back."""

from torch import Tensor

from models.features import HOP, WINDOW
from models.playback import fold, play
from models.victims import SpectrogramVictim


def played(victim: SpectrogramVictim, waveform: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """The sound of a clip, without and with a change of what the network sees of it.

    The clip's own length, or as much of it as is scored; never tiled, so that without a change the
    network sees in it exactly what it saw.

    Args:
        waveform: (samples,).
        change: (n, mels), z-scored; of a tiled clip all its repeats, whose mean is played.

    Returns:
        Two waveforms, (samples,).
    """
    waveform = waveform.to(change.device)
    if victim.windows == "first" and not victim.front_end.looks_at_all:
        waveform = waveform[: (victim.frames - 1) * HOP + WINDOW]
    log_mels = victim.log_mel(waveform)
    frames = min(len(victim.front_end.heard(log_mels)), len(change))
    log_change = fold(change * victim.standardizer.std, frames)
    return waveform, play(victim.log_mel, waveform, victim.front_end.undone(log_mels, log_change))
