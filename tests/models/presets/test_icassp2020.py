"""The presets ``icassp2020-paper`` and ``icassp2020-reference-code``."""

from typing import Any

from models.presets import PRESETS, Preset

EPSILONS = [0.02, 0.04, 0.06, 0.08, 0.1]


def fgsm(preset: type[Preset]) -> dict[str, Any]:
    (only,) = preset.attacks
    return only.model_dump(mode="json")


class TestPaper:
    def test_attacks_the_true_label_of_the_first_window(self) -> None:
        preset = PRESETS["icassp2020-paper"]
        told = fgsm(preset)
        assert (told["type"], told["epsilon"], told["labels"], told["clip"]) == (
            "fgsm", EPSILONS, "true", None,
        )  # fmt: skip
        assert preset.fields == {"windows": "first"}


class TestReferenceCode:
    def test_attacks_the_predicted_label_and_clips(self) -> None:
        preset = PRESETS["icassp2020-reference-code"]
        told = fgsm(preset)
        assert (told["type"], told["epsilon"], told["labels"], told["clip"]) == (
            "fgsm", EPSILONS, "predicted", 0.1,
        )  # fmt: skip
        assert preset.fields == {"windows": "first"}
