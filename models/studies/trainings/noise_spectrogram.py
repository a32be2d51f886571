"""The row "noise on the spectrogram" of Table 3: augmentation without an adversary."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from models.studies.trainings.training import STUDY_TRAININGS, Preset, StudyTraining, without_attack


@STUDY_TRAININGS.register
class NoiseSpectrogram(StudyTraining):
    """Vanilla training with random noise on the log-mels in place of the attack, once for each
    strength: what of an adversarial training's gain needs no adversary."""

    type: Literal["noise-spectrogram"] = "noise-spectrogram"
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the clean loss.")
    kind: Literal["sign", "uniform"] = Field(
        "sign",
        description="sign: every value moves by epsilon up or down, by as much as under FGSM;"
        " uniform: by at most epsilon.",
    )

    @classmethod
    def of_preset(cls, preset: Preset) -> dict[str, Any]:
        """What the preset says of vanilla training."""
        return dict(preset.defenses.get("vanilla", {}))

    def fields(self, base: Mapping[str, Any], epsilon: float | None) -> dict[str, Any]:
        """See :meth:`StudyTraining.fields`."""
        return {
            **without_attack(base),
            "defense": {"type": "vanilla", "alpha": self.alpha},
            "attack": {"type": "noise", "kind": self.kind},
            "epsilon": epsilon,
        }
