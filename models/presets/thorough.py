"""The preset ``thorough``."""

from models.attacks import Attack
from models.attacks.ensemble import Ensemble
from models.attacks.mim import Mim
from models.attacks.nes import Nes
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.attacks.transfer import Transfer
from models.presets.preset import PRESETS, Preset
from models.presets.standard import Standard
from models.presets.strengths import EPSILONS, SNRS_DB

STEPS = 50
RESTARTS = 3
DRAWS = 10
QUERIES = 2000
"""Of NES, beside the 5,000 of Square in the cascade."""


@PRESETS.register("thorough")
class Thorough(Preset):
    """Before somebody relies on a figure: standard with 50 steps, 3 restarts and 10 draws of noise,
    with Square in the cascade, NES from scores alone, the smallest strength that breaks each clip,
    and, with transfer_from, attacks carried over from that model. It may take hours for fifty
    clips: ask for a dry run first."""

    attacks = (
        Ensemble(epsilon=EPSILONS, steps=STEPS, restarts=RESTARTS),
        Pgd(epsilon=EPSILONS, steps=STEPS, minimum=True),
        Nes(epsilon=(EPSILONS[0], EPSILONS[-1]), queries=QUERIES),
        Noise(epsilon=EPSILONS, draws=DRAWS),
        Pgd(
            domain="waveform",
            norm="l2",
            snr_db=SNRS_DB,
            steps=STEPS,
            restarts=RESTARTS,
            minimum=True,
        ),
        Noise(domain="waveform", norm="l2", snr_db=SNRS_DB, draws=DRAWS),
    )
    corruptions = Standard.corruptions
    takes_a_source = True

    @classmethod
    def transferred(cls, source: str) -> tuple[Attack, ...]:
        """See :meth:`Preset.transferred`. On the waveform, which all models take: log-mels of one
        front end mean nothing to a model with another."""
        inner = Mim(domain="waveform", norm="l2", snr_db=SNRS_DB, steps=STEPS)
        return (Transfer.model_validate({"from": source, "attack": inner}),)
