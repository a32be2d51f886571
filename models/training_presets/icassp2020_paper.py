"""The preset ``icassp2020-paper`` of trainings."""

from models.attacks.fgsm import Fgsm
from models.training_presets.preset import TRAINING_PRESETS, TrainingPreset


@TRAINING_PRESETS.register("icassp2020-paper")
class Icassp2020Paper(TrainingPreset):
    """As Ren et al. (ICASSP 2020, Sec. 4.2) write that they trained: Adam at .001, times .9 every
    100 of 10,000 iterations, adversarial clips at the true label from iteration 1,000 on, the L2
    norm between embeddings, 373 frames.

    The paper is silent on the batch; 16 is that of the authors' code.
    """

    fields = {  # noqa: RUF012  (never changed)
        "crafting": "eval",
        "iterations": 10_000,
        "adversarial_from": 1_000,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "decay": 0.9,
        "decay_every": 100,
        "cooldown": 0,
        "frames": 373,
        "front_end": "logmel-1",
        "augment": [],
        "precision": "float32",
    }
    defenses = {  # noqa: RUF012  (likewise)
        "vanilla": {"alpha": 0.5},
        "similarity": {"beta": 0.4, "gamma": 0.4, "distance": "l2"},
    }
    attack = Fgsm()
