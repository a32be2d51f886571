"""The pictures show what an audit has found, and can be drawn of whatever that is."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from models.attacks import Attack, parse
from models.audit import AuditRow, AuditSummary, ClipPrediction, summarize
from models.audit.evidence import AttackedPrediction, CostSpent, Distortion
from models.audit.result import Scale
from models.features import HOP, MELS, SAMPLE_RATE, hz_to_mel, mel_filter_bank
from workers.audits import pictures
from workers.audits.pictures import (
    Half,
    draw_curves,
    draw_pair,
    drawable,
    spectrogram_pair,
    uar_curves,
)

LABELS = ("anger", "joy", "calm")
FGSM = parse({"type": "fgsm", "epsilon": [0.1, 0.02]})
NOISE = parse({"type": "noise", "epsilon": [0.1]})
WAVE = parse({"type": "pgd", "domain": "waveform", "snr_db": [40, 60, 20], "steps": 10})


def half(label: str = "anger", frames: int = 60, level: float = 1.0) -> Half:
    generator = torch.Generator().manual_seed(0)
    return Half(level * torch.randn(frames, MELS, generator=generator) - 8, label, 0.5)


def said(label: str) -> ClipPrediction:
    return ClipPrediction(label=label, scores=dict.fromkeys(LABELS, 1 / 3))


def found(
    attacks: Sequence[Attack],
    broken: dict[tuple[int, float], int],
    *,
    labelled: bool = True,
    n: int = 10,
) -> AuditSummary:
    """The result of an audit of clips of anger and joy by turns, all of them right before.

    Args:
        broken: clips that a point breaks, by attack and strength; points that are not named were
            not reached.
    """
    rows = []
    for index in range(n):
        truth = LABELS[index % 2]
        rows.append(
            AuditRow(
                index=index,
                clip=f"{index}.wav",
                label=truth if labelled else None,
                speaker=None,
                gender=None,
                duration_s=1.0,
                clean=said(truth),
                attacked=[
                    AttackedPrediction(
                        label="calm" if index < clips else truth,
                        scores=said(truth).scores,
                        attack=number,
                        strength=strength,
                        success=index < clips,
                        no_direction=False,
                        distortion=Distortion(linf=0.1, l2=0.1, snr_db=None, band_db=0.1),
                        cost=CostSpent(forwards=1, backwards=0, queries=0),
                    )
                    for (number, strength), clips in broken.items()
                ],
            )
        )
    scale = Scale(lowest=1, median=1, highest=1)
    return summarize(rows, LABELS, attacks, of=n, scale=scale, seconds={})


def size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def lines(axes: Axes) -> dict[str, Line2D]:
    """What the legend names, by its name."""
    legend = axes.get_legend()
    assert legend is not None
    named = {str(line.get_label()): line for line in axes.get_lines()}
    return {text.get_text(): named[text.get_text()] for text in legend.get_texts()}


def points(line: Line2D) -> list[tuple[float, float]]:
    """Of a line, in the order in which they are drawn."""
    drawn = np.asarray(line.get_xydata(), dtype=np.float64)
    return [(x, round(y, 6)) for x, y in drawn.tolist()]


class TestSpectrogramPair:
    def draw(self, clean: Half, adversarial: Half, **options: Any) -> tuple[Figure, Axes, Axes]:
        given: dict[str, Any] = {"attack": "FGSM, ε = 0.1", "truth": "anger", "clip_frames": None}
        figure = draw_pair(clean, adversarial, **{**given, **options})
        left, right, _bar = figure.axes
        return figure, left, right

    @pytest.mark.parametrize("clip_frames", [None, 17])
    def test_is_a_wide_png(self, clip_frames: int | None) -> None:
        png = spectrogram_pair(
            half(), half("joy"), attack="FGSM, ε = 0.1", truth="anger", clip_frames=clip_frames
        )
        width, height = size(png)
        assert width > 2 * height

    def test_each_half_names_what_the_model_says_and_the_whole_what_is_true(self) -> None:
        figure, left, right = self.draw(half("anger"), half("joy"))
        assert left.get_title() == "clean: anger (0.50)"
        assert right.get_title() == "FGSM, ε = 0.1: joy (0.50)"
        assert figure.get_suptitle() == "labelled anger"

    def test_without_a_label_nothing_is_said_to_be_true(self) -> None:
        figure, _, _ = self.draw(half(), half(), truth=None)
        assert figure.get_suptitle() == ""

    def test_low_bands_are_at_the_bottom_and_time_goes_to_the_right(self) -> None:
        log_mel = torch.arange(60 * MELS, dtype=torch.float32).view(60, MELS)
        _, left, _ = self.draw(Half(log_mel, "anger", 0.5), half())
        (image,) = left.get_images()
        assert np.array_equal(np.asarray(image.get_array()), log_mel.T.numpy())
        assert image.origin == "lower"
        assert tuple(image.get_extent()) == (0, 60 * HOP / SAMPLE_RATE, 0, MELS)

    def test_a_clip_that_is_tiled_is_marked_where_it_begins_again(self) -> None:
        _, left, right = self.draw(half(), half(), clip_frames=25)
        for axes in (left, right):
            assert [line.get_xdata()[0] for line in axes.get_lines()] == [  # type: ignore[index]
                25 * HOP / SAMPLE_RATE,
                50 * HOP / SAMPLE_RATE,
            ]

    @pytest.mark.parametrize("label", ["$x^$", "怒り", "a\nb", "x" * 100, "\ud800"])
    def test_any_label_can_be_shown(self, label: str) -> None:
        size(spectrogram_pair(half(label), half(label), attack="FGSM", truth=label, clip_frames=1))

    def test_a_flat_clip_can_be_shown(self) -> None:
        flat = half(level=0)
        size(spectrogram_pair(flat, flat, attack="FGSM", truth=None, clip_frames=None))

    def test_both_halves_share_one_scale_of_colours(self) -> None:
        _, left, right = self.draw(half(), half(level=3))
        (clean,), (adversarial,) = left.get_images(), right.get_images()
        assert clean.get_clim() == adversarial.get_clim()
        low, high = clean.get_clim()
        assert low < -12  # of the louder half
        assert high > -4


class TestUarCurves:
    def test_are_a_png(self) -> None:
        result = found([FGSM, NOISE], {(0, 0.1): 6, (0, 0.02): 2, (1, 0.1): 1})
        width, height = size(uar_curves(result, [FGSM, NOISE], title="a model, $100 clips"))
        assert width > height

    def test_a_line_begins_at_the_clean_figure_and_goes_on_by_strength(self) -> None:
        result = found([FGSM], {(0, 0.1): 6, (0, 0.02): 2})
        (axes,) = draw_curves(result, [FGSM], title="a model").axes
        assert points(lines(axes)["FGSM"]) == [(0, 1), (0.02, 0.8), (0.1, 0.4)]
        assert axes.get_ylabel() == "UAR"
        assert axes.get_xlabel() == "ε (L∞) in σ of a mel band"
        assert axes.get_title() == "a model"

    def test_bars_are_the_intervals_and_the_legend_says_of_how_many_clips(self) -> None:
        result = found([FGSM], {(0, 0.1): 6, (0, 0.02): 2})
        (axes,) = draw_curves(result, [FGSM], title="a model").axes
        drawn = {
            segment[0][0]: (segment[0][1], segment[1][1])
            for bars in axes.collections
            for segment in bars.get_segments()  # type: ignore[attr-defined]
        }
        wanted = {one.strength: one.measures["uar"].interval for one in result.curve}
        assert drawn == wanted | {0.0: result.clean.measures["uar"].interval}
        legend = axes.get_legend()
        assert legend is not None
        assert legend.get_title().get_text() == f"n = {result.n}; bars: 95 % intervals"

    def test_a_strength_of_zero_is_the_beginning_itself(self) -> None:
        zero = parse({"type": "fgsm", "epsilon": [0, 0.1]})
        result = found([zero], {(0, 0): 0, (0, 0.1): 6})
        (axes,) = draw_curves(result, [zero], title="a model").axes
        assert points(lines(axes)["FGSM"]) == [(0, 1), (0.1, 0.4)]

    def test_one_point_at_zero_will_do(self) -> None:
        zero = parse({"type": "fgsm", "epsilon": [0]})
        size(uar_curves(found([zero], {(0, 0): 0}), [zero], title="a model"))

    def test_a_control_is_dashed_and_every_attack_has_a_line(self) -> None:
        result = found([FGSM, NOISE], {(0, 0.1): 6, (0, 0.02): 2, (1, 0.1): 1})
        (axes,) = draw_curves(result, [FGSM, NOISE], title="a model").axes
        drawn = lines(axes)
        assert list(drawn) == ["FGSM", "NOISE", "clean", "chance"]
        assert (drawn["FGSM"].get_linestyle(), drawn["NOISE"].get_linestyle()) == ("-", "--")
        assert drawn["FGSM"].get_color() != drawn["NOISE"].get_color()

    def test_sixteen_attacks_are_told_apart(self) -> None:
        attacks = [parse({"type": "pgd", "epsilon": [0.1], "steps": n}) for n in range(1, 17)]
        result = found(attacks, {(n, 0.1): 1 for n in range(16)})
        (axes,) = draw_curves(result, attacks, title="a model").axes
        drawn = [line for name, line in lines(axes).items() if name.startswith("PGD")]
        looks = {(line.get_color(), line.get_marker()) for line in drawn}
        assert len(drawn) == len(looks) == 16

    def test_each_threat_model_has_a_panel_and_a_smaller_snr_is_further_right(self) -> None:
        broken = {(0, 0.1): 6, (0, 0.02): 2, (1, 40.0): 4, (1, 60.0): 2, (1, 20.0): 8}
        figure = draw_curves(found([FGSM, WAVE], broken), [FGSM, WAVE], title="a model")
        left, right = figure.axes
        assert figure.get_suptitle() == "a model"
        assert set(lines(left)) == {"FGSM", "clean", "chance"}
        assert right.get_xlabel() == "SNR in dB, smaller is stronger"
        assert points(lines(right)["PGD, steps 10"]) == [(20, 0.2), (40, 0.6), (60, 0.8)]
        assert right.xaxis_inverted()
        assert not left.xaxis_inverted()

    def test_without_labels_they_show_changed_predictions(self) -> None:
        result = found([FGSM], {(0, 0.1): 6, (0, 0.02): 2}, labelled=False)
        (axes,) = draw_curves(result, [FGSM], title="uploaded clips").axes
        assert axes.get_ylabel() == "share of changed predictions"
        drawn = lines(axes)
        assert list(drawn) == ["FGSM"]
        assert points(drawn["FGSM"]) == [(0, 0), (0.02, 0.2), (0.1, 0.6)]

    def test_points_that_were_not_reached_are_left_out_and_not_drawn_at_zero(self) -> None:
        result = found([FGSM, WAVE], {(0, 0.1): 6})
        left, right = draw_curves(result, [FGSM, WAVE], title="a model").axes
        assert points(lines(left)["FGSM"]) == [(0, 1), (0.1, 0.4)]
        assert list(lines(right)) == ["clean", "chance"]

    def test_chance_is_one_of_the_classes_that_there_are_clips_of(self) -> None:
        (axes,) = draw_curves(found([FGSM], {(0, 0.1): 6}), [FGSM], title="a model").axes
        assert points(lines(axes)["chance"])[0][1] == 0.5  # there is no clip of calm

    @pytest.mark.parametrize("label", ["$x^$", "怒り", "x" * 100])
    def test_any_target_can_be_named(self, label: str) -> None:
        targeted = parse({"type": "fgsm", "epsilon": [0.1], "goal": {"label": label}})
        result = found([FGSM], {(0, 0.1): 6})
        size(uar_curves(result, [targeted], title="a model"))


class TestAxis:
    def test_frequencies_stand_at_the_bands_that_hear_them_most(self) -> None:
        mel = mel_filter_bank()
        axes = draw_pair(half(), half(), attack="FGSM", truth=None, clip_frames=None).axes[0]
        names = [text.get_text() for text in axes.get_yticklabels()]
        assert names == ["100", "250", "500", "1k", "2k", "4k", "8k"]
        places = dict(zip(names, axes.get_yticks(), strict=True))
        for name, hz in (("1k", 1000), ("2k", 2000), ("4k", 4000)):
            loudest = int(mel[round(hz / 31.25)].argmax())
            assert loudest <= places[name] <= loudest + 1
        ends = hz_to_mel(torch.tensor([20.0, 8000.0, 1000.0], dtype=torch.float64)).tolist()
        place = (ends[2] - ends[0]) / ((ends[1] - ends[0]) / (MELS + 1)) - 0.5
        assert places["1k"] == pytest.approx(place)


class TestWords:
    def test_letters_that_the_font_lacks_are_escaped(self) -> None:
        assert drawable("Wut: ärger, ε") == "Wut: ärger, ε"
        assert drawable("怒") == "\\u6012"

    def test_long_texts_are_cut(self) -> None:
        assert len(drawable("x" * 1000)) == pictures.MOST_CHARACTERS
