"""A clip that is shown: what was scored of it, as log-mels and as sound.

The sound of an attack on log-mels is a float WAV. The rounding of 16-bit audio alone lifts the
bands that a band-limited recording leaves empty by several of their standard deviations, and the
model would hear that. An attack on a waveform is the 16-bit WAV that was scored; a float WAV where
the recording itself exceeds full scale. So is a corrupted recording, which nobody has rounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.audio import Encoding
from models.audit import Audit, AuditRow
from models.audit.perturbation import Perturbation
from models.audit.sound import played
from models.budget import within_full_scale
from models.corruptions import Corruption
from workers.audits.clips import AuditClips


@dataclass(frozen=True)
class ShownClip:
    """A clip that is shown.

    Attributes:
        row: its evidence.
        inputs: what was scored, by the place in ``row.attacked``.
    """

    row: AuditRow
    inputs: dict[int, Tensor]


@dataclass(frozen=True)
class Sound:
    """A clip as it is and as it was attacked, (samples,) each, and what is told of the latter."""

    own: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    encoding: Encoding
    heard: str


@dataclass(frozen=True)
class ScoredInputs:
    """What was scored, as it can be looked at and listened to."""

    audit: Audit
    clips: AuditClips

    def clean_input(self, index: int, attack: Perturbation) -> Tensor:
        """The clip as an attack was given it: (n, mels) z-scored, or (samples,)."""
        if attack.domain == "features":
            return self.audit.victim.features(self.clips.log_mels(index)).cpu()
        return self.audit.victim.waveform(self.clips.waveform(index)).cpu()

    def log_mels(self, x: Tensor, attack: Perturbation) -> Tensor:
        """Of such an input: (n, mels), natural logarithm."""
        victim = self.audit.victim
        x = x.to(victim.device)
        if attack.domain == "waveform":
            heard: Tensor = victim.log_mel(x)
            return heard.cpu()
        return victim.standardizer.inverse(x).cpu()

    def heard_frames(self, index: int) -> Tensor:
        """The frames of a clip that the model hears, before it repeats them: their numbers."""
        return self.audit.victim.front_end.heard(self.clips.log_mels(index)).cpu()

    def sound(self, clip: ShownClip, place: int) -> Sound:
        """The clip's own sound, the adversarial one, and what is told of it. The recording must be
        at hand, and the attack a success."""
        shown, x = clip.row.attacked[place], clip.inputs[place]
        attack = self.audit.attacks[shown.attack]
        waveform = self.clips.waveform(clip.row.index)
        if attack.domain == "waveform":
            own = self.audit.victim.waveform(waveform).cpu()
            size = shown.distortion
            ratio = "" if size is None or size.snr_db is None else f"{size.snr_db:.1f} dB SNR: "
            heard = f"{ratio}heard as {shown.label}"
            exact = isinstance(attack, Corruption) or not bool(within_full_scale(x).all())
            encoding: Encoding = "float32" if exact else "pcm16"
            return Sound(own.numpy(), x.numpy(), encoding, heard)
        change = (x - self.clean_input(clip.row.index, attack)).to(self.audit.victim.device)
        clean, sound = played(self.audit.victim, waveform, change)
        audio = shown.audio
        assert audio is not None  # it was broken, and sound was at hand
        heard = f"{audio.snr_db:.1f} dB SNR: heard as {audio.label}"
        return Sound(clean.cpu().numpy(), sound.cpu().numpy(), "float32", heard)


def said(attack: Perturbation, strength: float) -> str:
    """An attack at a strength in words, such as "PGD, steps 10, on the waveform, 40 dB SNR"."""
    if isinstance(attack, Corruption):
        return f"{attack.describe()}, {strength:g} {attack.unit}"
    measure = f"{strength:g} dB SNR" if attack.threat.smaller_is_harder else f"ε = {strength:g}"
    place = ", on the waveform" if attack.domain == "waveform" else ""
    return f"{attack.describe()}{place}, {measure}"
