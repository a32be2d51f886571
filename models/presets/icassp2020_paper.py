"""The preset ``icassp2020-paper``."""

from models.attacks.fgsm import Fgsm
from models.presets.preset import PRESETS, Preset
from models.presets.strengths import EPSILONS


@PRESETS.register("icassp2020-paper")
class Icassp2020Paper(Preset):
    """What Ren et al. (ICASSP 2020, Eq. 1, Fig. 3) did: FGSM at the true label with ε from .02 to
    .1, on the first window of each clip. It has no control, so it says little by itself.

    The paper clips by an η that it does not give. Its ε = 0 is the clean figure of every audit, and
    its clips are no longer than a window.
    """

    attacks = (Fgsm(epsilon=EPSILONS),)
    fields = {"windows": "first"}  # noqa: RUF012  (never changed)
