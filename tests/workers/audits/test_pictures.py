"""The pictures can be drawn of whatever an audit finds, without a warning (those are errors)."""

import struct
from typing import Any

import pytest
import torch
from matplotlib.axes import Axes

from models.features import MELS, hz_to_mel, mel_filter_bank
from workers.audits import pictures
from workers.audits.pictures import Half, attack_name, drawable, spectrogram_pair, uar_curve


def half(label: str = "anger", frames: int = 60, level: float = 1.0) -> Half:
    generator = torch.Generator().manual_seed(0)
    return Half(level * torch.randn(frames, MELS, generator=generator) - 8, label, 0.5)


def point(epsilon: float, uar: float | None = 0.5, labels: str = "true") -> dict[str, Any]:
    return {
        "attack": "fgsm",
        "labels": labels,
        "clip": None,
        "epsilon": epsilon,
        "uar": uar,
        "success_rate": None if uar is not None else 0.25,
        "recall": None if uar is None else {"anger": 0.5, "joy": 0.4, "calm": None},
    }


def size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


class TestSpectrogramPair:
    @pytest.mark.parametrize("clip_frames", [None, 17])
    def test_is_a_wide_png(self, clip_frames: int | None) -> None:
        png = spectrogram_pair(
            half(), half("joy"), attack="FGSM, ε = 0.1", truth="anger", clip_frames=clip_frames
        )
        width, height = size(png)
        assert width > 2 * height

    @pytest.mark.parametrize("label", ["$x^", "怒り", "a\nb", "x" * 100, "\ud800"])
    def test_any_label_can_be_shown(self, label: str) -> None:
        size(spectrogram_pair(half(label), half(label), attack="FGSM", truth=label, clip_frames=1))

    def test_a_flat_clip_can_be_shown(self) -> None:
        flat = half(level=0)
        size(spectrogram_pair(flat, flat, attack="FGSM", truth=None, clip_frames=None))

    def test_both_halves_share_one_scale_of_colours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scales: list[tuple[float, float]] = []
        real = Axes.imshow

        def watched(axes: Axes, *arguments: Any, **options: Any) -> Any:
            scales.append((options["vmin"], options["vmax"]))
            return real(axes, *arguments, **options)

        monkeypatch.setattr(Axes, "imshow", watched)
        spectrogram_pair(half(), half(level=3), attack="FGSM", truth=None, clip_frames=None)
        assert len(scales) == 2
        assert scales[0] == scales[1]


class TestUarCurve:
    def test_is_a_png(self) -> None:
        curve = [point(epsilon) for epsilon in (0.02, 0.1)]
        curve += [point(epsilon, labels="predicted") for epsilon in (0.02, 0.1)]
        size(uar_curve(curve, 0.6, title="a model, $100 clips"))

    def test_one_point_at_zero_will_do(self) -> None:
        size(uar_curve([point(0.0)], 0.6, title="a model"))

    def test_without_labels_it_shows_changed_predictions(self) -> None:
        curve = [point(epsilon, uar=None) for epsilon in (0.02, 0.1)]
        size(uar_curve(curve, None, title="uploaded clips"))

    def test_lines_begin_at_the_clean_figure(self) -> None:
        lines = pictures._lines([point(0.1, 0.2), point(0.02, 0.4)], 0.6)
        assert lines == {"FGSM (true labels)": [(0.0, 0.6), (0.1, 0.2), (0.02, 0.4)]}

    def test_chance_is_one_of_the_classes_that_there_are_clips_of(self) -> None:
        assert pictures._chance([point(0.1)]) == 0.5


class TestAxis:
    def test_frequencies_stand_at_the_bands_that_hear_them_most(self) -> None:
        mel = mel_filter_bank()
        for hz in (1000, 2000, 4000):
            loudest = int(mel[round(hz / 31.25)].argmax())
            ends = hz_to_mel(torch.tensor([20.0, 8000.0, float(hz)], dtype=torch.float64)).tolist()
            place = (ends[2] - ends[0]) / ((ends[1] - ends[0]) / (MELS + 1)) - 0.5
            assert loudest <= place <= loudest + 1


class TestWords:
    def test_a_name_of_an_attack(self) -> None:
        assert attack_name("fgsm", "true", None) == "FGSM (true labels)"
        assert attack_name("fgsm", "predicted", 0.1) == "FGSM (predicted labels, η = 0.1)"

    def test_letters_that_the_font_lacks_are_escaped(self) -> None:
        assert drawable("Wut: ärger, ε") == "Wut: ärger, ε"
        assert drawable("怒") == "\\u6012"

    def test_long_texts_are_cut(self) -> None:
        assert len(drawable("x" * 1000)) == pictures.MOST_CHARACTERS
