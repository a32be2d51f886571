"""The preset ``icassp2020-reference-code``."""

from models.attacks.fgsm import Fgsm
from models.presets.preset import PRESETS, Preset
from models.presets.strengths import EPSILONS


@PRESETS.register("icassp2020-reference-code")
class Icassp2020ReferenceCode(Preset):
    """What the code does that the authors of Ren et al. (ICASSP 2020) published: FGSM at the label
    that the model predicts, clipped at η = .1. It cannot break what is wrong already and may repair
    it, so it makes a model look more robust than it is."""

    attacks = (Fgsm(epsilon=EPSILONS, labels="predicted", clip=0.1),)
    fields = {"windows": "first"}  # noqa: RUF012  (never changed)
