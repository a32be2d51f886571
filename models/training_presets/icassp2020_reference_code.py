"""The preset ``icassp2020-reference-code`` of trainings."""

from models.attacks.fgsm import Fgsm
from models.training_presets.icassp2020_paper import Icassp2020Paper
from models.training_presets.preset import TRAINING_PRESETS, TrainingPreset


@TRAINING_PRESETS.register("icassp2020-reference-code")
class Icassp2020ReferenceCode(TrainingPreset):
    """As the code trains that the authors of Ren et al. (ICASSP 2020) published: its learning rate
    stays .001, adversarial clips are made at the label that the model predicts and clipped at
    η = .1, and embeddings are compared by their mean squared error; all else as in the paper."""

    fields = Icassp2020Paper.fields | {"decay": 1.0}
    defenses = Icassp2020Paper.defenses | {
        "similarity": {"beta": 0.4, "gamma": 0.4, "distance": "mse"}
    }
    attack = Fgsm(labels="predicted", clip=0.1)
