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
    frames = min(1 + (len(waveform) - WINDOW) // HOP, len(change))
    if victim.windows == "first" and frames == victim.frames:
        waveform = waveform[: (frames - 1) * HOP + WINDOW]
    log_change = fold(change * victim.standardizer.std, frames)
    return waveform, play(victim.front_end, waveform, log_change)
