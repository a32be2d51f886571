"""The row "noise on the sound" of Table 3: augmentation without an adversary.

The paper tells neither the level of its noise nor how many clips had it. The defaults are ours.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.corruptions.noise import Ratios
from models.studies.trainings.training import STUDY_TRAININGS, StudyTraining, without_attack


@STUDY_TRAININGS.register
class NoiseAudio(StudyTraining):
    """White noise on the recordings that are learnt from, one model for all strengths."""

    has_epsilon: ClassVar[bool] = False

    type: Literal["noise-audio"] = "noise-audio"
    snr_db: Ratios = Field(
        (30.0, 20.0, 10.0),
        description="Signal-to-noise ratios in dB over the whole clip, from -20 to 120; each noisy"
        " clip has one of them. The paper does not tell its own.",
    )
    share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the clips of a batch that are noisy: half of them, as many as are"
        " adversarial in vanilla training. It takes the place of the recipe's `augment_share`.",
    )

    def fields(self, base: Mapping[str, Any], epsilon: float | None) -> dict[str, Any]:
        """See :meth:`StudyTraining.fields`. The noise comes behind what the study augments with."""
        noise = {"type": "noise", "snr_db": list(self.snr_db), "color": "white"}
        return {
            **without_attack(base),
            "defense": {"type": "single"},
            "augment": [*base.get("augment", ()), noise],
            "augment_share": self.share,
        }
