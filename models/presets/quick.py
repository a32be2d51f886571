"""The preset ``quick``."""

from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.presets.preset import PRESETS, Preset
from models.presets.strengths import EPSILONS


@PRESETS.register("quick")
class Quick(Preset):
    """A first look within a minute: FGSM on the log-mels, and noise of the same sizes. One step
    finds less than there is to find, so a small figure proves nothing."""

    attacks = (Fgsm(epsilon=EPSILONS), Noise(epsilon=EPSILONS))
