"""Threat models in plain words: what was changed, and how large that is to an ear."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.audits.report import Report
from app.reports import words
from app.reports.charts.curves import threats
from models.audit.result import Scale, Threat
from models.features import MELS

DB: Final = 20 / math.log(10)
"""Decibels of one unit of a natural logarithm of a magnitude: 8.686."""
STEPS_16_BIT: Final = 32_768


@dataclass(frozen=True)
class Explained:
    """A threat model, for who has not read of one.

    Attributes:
        name: in a few words.
        allowed: what an attacker may do, a sentence.
        sizes: what the strengths of this audit are, a sentence each.
    """

    name: str
    allowed: str
    sizes: Sequence[str]


def explained(report: Report) -> list[Explained]:
    """All that the audit has, corruptions left out: those are no attacker's."""
    return [
        Explained(words.threat_name(threat), _allowed(threat), list(_sizes(report, threat)))
        for threat in threats(report.result)
        if threat.domain != "corruption"
    ]


def varied(scale: Scale) -> str:
    """How much the clips vary in what an ε of log-mels counts, a sentence."""
    return (
        f"These clips vary by {words.compact(scale.median)} of the deviations that the model"
        f" states, in the median band ({words.compact(scale.lowest)} to"
        f" {words.compact(scale.highest)} over all): about 1 if they are like what it was trained"
        " on."
    )


ALLOWED: Final = {
    "features linf": "The attacker changes the log-mel spectrogram that the network reads: each"
    " value by at most ε standard deviations (σ) of its mel band. It makes no sound by itself.",
    "features l2": "The attacker changes the log-mel spectrogram that the network reads: all"
    " values together by a Euclidean norm of at most ε, in standard deviations (σ) of their mel"
    " bands. It makes no sound by itself.",
    "waveform linf": "The attacker changes the recording: each sample by at most ε of full scale.",
    "waveform l2": "The attacker changes the recording, by a signal that is so many dB below the"
    " clip (signal-to-noise ratio, SNR). A smaller SNR is a stronger attack.",
}


def _allowed(threat: Threat) -> str:
    return ALLOWED.get(
        f"{threat.domain} {threat.norm}",
        f"The attacker changes {threat.domain}, measured by {threat.norm} in {threat.unit}.",
    )


def _sizes(report: Report, threat: Threat) -> Iterator[str]:
    for strength in _strengths(report, threat):
        if threat.domain == "features" and threat.norm == "linf":
            yield _of_log_mels(report, threat, strength)
        elif threat.domain == "features":
            each = strength / math.sqrt(report.model.frames * MELS)
            yield (
                f"ε = {words.compact(strength)} σ is {words.compact(each)} σ for each value, if it"
                f" is spread evenly over a window of {report.model.frames} frames and {MELS} bands."
            )
        elif threat.norm == "l2":
            yield _of_snr(strength)
        elif strength > 0:
            yield _of_full_scale(strength)


def _strengths(report: Report, threat: Threat) -> list[float]:
    """The weakest and the strongest: what lies between is between."""
    result = report.result
    own = {
        point.strength
        for point in result.curve
        if result.attacks[point.attack].threat == threat and point.strength > 0
    }
    return sorted({min(own), max(own)}) if own else []


def _of_log_mels(report: Report, threat: Threat, strength: float) -> str:
    deviations = report.model.deviations
    start = f"ε = {words.compact(strength)} σ"
    if deviations is None:
        measured = [
            point.distortion.band_db
            for point in report.result.curve
            if point.strength == strength
            and point.distortion is not None
            and report.result.attacks[point.attack].threat == threat
        ]
        if not measured:
            return f"{start} changes every value by at most that share of its band's deviation."
        return (
            f"{start} changed the band that changed most by {words.compact(max(measured))} dB"
            " (root mean square, median over the clips)."
        )
    loudest = DB * strength * deviations.loudest
    low, high = (DB * strength * one for one in (deviations.lowest, deviations.highest))
    return (
        f"{start} is ±{_db(loudest)} dB in the loudest band, and ±{_db(low)} to ±{_db(high)} dB"
        " over all bands of this model."
    )


def _of_snr(strength: float) -> str:
    return (
        f"{words.compact(strength)} dB SNR: the change has 1/{_times(strength / 20)} of the clip's"
        f" amplitude and 1/{_times(strength / 10)} of its energy."
    )


def _of_full_scale(strength: float) -> str:
    steps = strength * STEPS_16_BIT
    return (
        f"ε = {words.compact(strength)} of full scale is"
        f" {words.compact(20 * math.log10(strength))} dB of full scale, or"
        f" {words.compact(round(steps, 1))} of the {STEPS_16_BIT:,} steps of 16-bit sound."
    )


def _db(value: float) -> str:
    return f"{value:.2g}"


def _times(power: float) -> str:
    """10 to that power, in digits."""
    times = 10**power
    return f"{times:,.0f}" if times >= 10 else f"{times:.2g}"
