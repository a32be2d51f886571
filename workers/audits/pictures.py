"""The two pictures of an audit, after Figures 2 and 3 of the paper, as PNG.

Drawn with matplotlib's objects, never with pyplot: that keeps global state, and figures, for ever.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from torch import Tensor

from models.audit import AuditSummary
from models.audit.perturbation import Perturbation
from models.corruptions import Severity
from models.features import HIGHEST_HZ, HOP, LOWEST_HZ, MELS, SAMPLE_RATE, hz_to_mel
from models.threats import AXES, ThreatModel

DPI: Final = 200
TICKS_HZ: Final = (100, 250, 500, 1000, 2000, 4000, 8000)
FONT: Final = "DejaVu Sans"
MOST_CHARACTERS: Final = 60
MOST_COLUMNS: Final = 4
"""Of panels: the next stand below."""
COLOURS: Final = ("#1f4e8c", "#c8442b", "#2e8b57", "#8e5ea2", "#b8860b")
MARKERS: Final = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Half:
    """One of the two spectrograms: what is shown, and what the model says about it.

    Attributes:
        log_mel: (frames, mels), natural logarithm.
        label: the prediction.
        score: its probability.
    """

    log_mel: Tensor
    label: str
    score: float


def spectrogram_pair(
    clean: Half, adversarial: Half, *, attack: str, truth: str | None, clip_frames: int | None
) -> bytes:
    """A clean and an adversarial log-mel side by side, on one colour scale (Figure 2).

    Args:
        attack: name and strength, such as "FGSM, ε = 0.02".
        truth: the clip's label, if it has one.
        clip_frames: where the clip begins again because it was tiled; None if it was cut.

    Returns:
        A PNG file.
    """
    return png(draw_pair(clean, adversarial, attack=attack, truth=truth, clip_frames=clip_frames))


def draw_pair(
    clean: Half, adversarial: Half, *, attack: str, truth: str | None, clip_frames: int | None
) -> Figure:
    """See :func:`spectrogram_pair`."""
    figure = Figure(figsize=(7.2, 3.1), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    both = torch.cat([clean.log_mel, adversarial.log_mel]).numpy()
    low, high = (float(value) for value in np.percentile(both, [1, 99.9]))
    for axes, name, half in ((left, "clean", clean), (right, attack, adversarial)):
        image = axes.imshow(
            half.log_mel.numpy().T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=low,
            vmax=max(high, low + 1e-3),
            extent=(0, len(half.log_mel) * HOP / SAMPLE_RATE, 0, MELS),
        )
        set_title(axes, f"{name}: {half.label} ({half.score:.2f})")
        axes.set_xlabel("time in s, as the network hears it")
        mark_repeats(axes, len(half.log_mel), clip_frames)
    hertz_axis(left)
    bar = figure.colorbar(image, ax=[left, right], pad=0.015, aspect=25)
    bar.set_label("log-mel magnitude (ln)")
    if truth is not None:
        figure.suptitle(drawable(f"labelled {truth}"), fontsize=9, parse_math=False)
    return figure


def uar_curves(result: AuditSummary, attacks: Sequence[Perturbation], *, title: str) -> bytes:
    """UAR against strength, a line for each attack, a panel for each threat model and each
    unit of corruptions (Figure 3).

    Of clips without labels, the share of changed predictions. The clean figure is a line across: an
    SNR has no zero to put it at. Controls are dashed. Bars are the intervals of the figures.

    Args:
        title: the model and the clips.

    Returns:
        A PNG file.
    """
    return png(draw_curves(result, attacks, title=title))


def draw_curves(result: AuditSummary, attacks: Sequence[Perturbation], *, title: str) -> Figure:
    """See :func:`uar_curves`."""
    threats = list(dict.fromkeys(attack.threat for attack in attacks))
    columns = min(len(threats), MOST_COLUMNS)
    rows = -(-len(threats) // columns)
    width = 4.8 if len(threats) == 1 else 3.9 * columns
    figure = Figure(figsize=(width, 3.4 * rows), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for empty in panels[len(threats) :]:
        empty.remove()
    panels = panels[: len(threats)]
    labelled = result.clean.uar is not None
    for axes, threat in zip(panels, threats, strict=True):
        for number, attack in enumerate(attacks):
            if attack.threat == threat:
                _draw_attack(axes, result, number, attack, labelled=labelled)
        _draw_axes(axes, result, threat, labelled=labelled)
    for axes in panels[::columns]:
        axes.set_ylabel("UAR" if labelled else "share of changed predictions")
    if len(threats) == 1:
        set_title(panels[0], title)
    else:
        figure.suptitle(drawable(title), fontsize=9, parse_math=False)
    return figure


def _draw_attack(
    axes: Axes, result: AuditSummary, number: int, attack: Perturbation, *, labelled: bool
) -> None:
    name = "uar" if labelled else "flip_rate"
    figures = {
        point.strength: point.measures[name] for point in result.curve if point.attack == number
    }
    told = [
        (strength, figure.value)
        for strength, figure in sorted(figures.items())
        if figure.value is not None
    ]
    if not attack.threat.smaller_is_harder and 0.0 not in dict(told):
        told.append((0.0, (result.clean.uar or 0.0) if labelled else 0.0))
        figures[0.0] = result.clean.measures["uar"]
    if not told:
        return
    for strength, figure in figures.items():
        if figure.interval is not None:
            axes.vlines(strength, *figure.interval, color=COLOURS[number % len(COLOURS)], lw=0.8)
    axes.plot(
        *zip(*sorted(told), strict=True),
        # Another marker for each round of the colours: 25 attacks differ.
        marker=MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
        color=COLOURS[number % len(COLOURS)],
        linestyle="--" if attack.control else "-",
        markersize=4,
        linewidth=1.4,
        label=drawable(attack.describe()),
        clip_on=False,
        zorder=3,
    )


def _draw_axes(
    axes: Axes, result: AuditSummary, threat: ThreatModel | Severity, *, labelled: bool
) -> None:
    if labelled and result.clean.uar is not None:
        axes.axhline(result.clean.uar, color="0.6", linewidth=0.9, linestyle=":", label="clean")
    chance = _chance(result) if labelled else None
    if chance is not None:
        axes.axhline(chance, color="0.45", linewidth=0.9, linestyle="-.", label="chance")
    axes.set_ylim(0, 1)
    if threat.smaller_is_harder:
        axes.invert_xaxis()
    elif axes.dataLim.xmin >= 0:  # a gain may be negative
        axes.set_xlim(left=0)
    axes.set_xlabel(
        threat.unit if isinstance(threat, Severity) else AXES[threat.domain, threat.norm]
    )
    axes.grid(color="0.9", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    legend = axes.legend(frameon=False, fontsize=7, title=_taken_of(result, labelled=labelled))
    legend.get_title().set_fontsize(7)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _taken_of(result: AuditSummary, *, labelled: bool) -> str:
    """What the figures are taken of, and what the bars are."""
    figure = result.clean.measures["uar"]
    n, speakers = (figure.n, figure.n_speakers) if labelled else (result.n, None)
    of = "" if speakers is None else f", {speakers} speakers"
    return f"n = {n}{of}; bars: 95 % intervals"


def _chance(result: AuditSummary) -> float | None:
    """UAR of a guess: one over the number of classes that there are clips of."""
    known = [recall for recall in (result.clean.recall or {}).values() if recall is not None]
    return 1 / len(known) if known else None


def hertz_axis(axes: Axes) -> None:
    """Label the bands with the frequencies of their middles."""
    ends = torch.tensor([LOWEST_HZ, HIGHEST_HZ, *TICKS_HZ], dtype=torch.float64)
    low, high, *mels = hz_to_mel(ends).tolist()
    # Band m has its middle at low + (m + 1) * step, and is drawn from m to m + 1.
    step = (high - low) / (MELS + 1)
    places = [(mel - low) / step - 0.5 for mel in mels]
    shown = [(place, hz) for place, hz in zip(places, TICKS_HZ, strict=True) if place <= MELS + 0.5]
    axes.set_yticks(
        [min(place, MELS) for place, _ in shown],
        [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for _, hz in shown],
    )
    axes.set_ylabel("mel band, centre in Hz")


def mark_repeats(axes: Axes, frames: int, clip_frames: int | None, colour: str = "white") -> None:
    """A short clip is tiled: show where it begins again."""
    if clip_frames is None:
        return
    for start in range(clip_frames, frames, clip_frames):
        axes.axvline(start * HOP / SAMPLE_RATE, color=colour, linewidth=0.8, linestyle=":")


def set_title(axes: Axes, text: str) -> None:
    """Any text."""
    # Labels come from outside: a "$" in one of them is not mathematics, here or in a legend.
    axes.set_title(drawable(text), fontsize=9, parse_math=False)


def drawable(text: str) -> str:
    """``text`` as the font can draw it: short, other scripts' letters as \\u escapes."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    return "".join(
        letter if _in_font(letter) else letter.encode("unicode_escape").decode() for letter in text
    )


@lru_cache(maxsize=1024)
def _in_font(letter: str) -> bool:
    font = get_font(findfont(FontProperties(family=FONT)))
    return letter.isprintable() and font.get_char_index(ord(letter)) != 0


def png(figure: Figure) -> bytes:
    """As a file."""
    with io.BytesIO() as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
        return file.getvalue()
