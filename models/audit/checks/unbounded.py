"""An attacker without bounds does not get everything."""

from typing import Final

import numpy as np

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, is_iterative, sees_gradients
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import STEPS, attack, with_attacks
from models.audit.intervals import Bools
from models.threats import Domain, Norm, ThreatModel

UNBOUNDED: Final[dict[tuple[Domain, Norm], float]] = {
    ("features", "linf"): 10.0,
    ("features", "l2"): 1_000.0,
    ("waveform", "linf"): 1.0,
    ("waveform", "l2"): 0.0,
}
"""Strengths at which nothing of the speech has to stay: ten standard deviations of every value, a
norm of seven in each of some twenty thousand, all of full scale, as much change as sound."""


@CHECKS.register("unbounded")
class Unbounded(Check):
    """A change of any size does not break every clip."""

    id = "unbounded"
    title = "An attack of unbounded strength does not break every clip"
    version = 2
    severity = "invalid"
    reads = "iterative gradient attacks at strengths at which nothing of the speech has to stay"
    raised_if = (
        "at 10 σ (L∞ of log-mels), 1000 σ (L2), full scale (L∞ of waveforms) or 0 dB SNR a clip"
        " that was right before stands against all iterative gradient attacks without a target;"
        " digital silence has no SNR: such clips are not counted in dB"
    )
    remedy = (
        "Give the attack more steps and another loss, and see whether the gradient is masked: the"
        " success rates of smaller strengths are not to be trusted."
    )
    source = (
        "Athalye et al., Obfuscated Gradients Give a False Sense of Security, ICML 2018, Sec. 3.1."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        numbers = audit.which(lambda one: is_iterative(one) and one.goal == "untargeted")
        strong = [
            (threat, strength)
            for threat in audit.threats
            for strength in audit.strengths(numbers, threat)
            if not threat.harder(UNBOUNDED[threat.domain, threat.norm], strength)
        ]
        if not strong:
            return _not_run(audit, numbers)
        told: list[str] = []
        short: list[tuple[ThreatModel, float]] = []
        for threat, strength in strong:
            found = audit.broken(numbers, threat, strength)
            counted = found.counted & ~_silent(audit, numbers, threat, strength)
            of, broken = int(counted.sum()), int((counted & found.wrong).sum())
            if of:
                told.append(f"{broken} of {of} clips at {strength:g} {threat.unit}")
            if broken < of:
                short.append((threat, strength))
        if not told:
            return NotRun("No clip that was right before was scored at such a strength.")
        text = f"Broken: {'; '.join(told)}."
        if not short:
            return Clear(text)
        added = [
            attack("pgd", threat, [strength], steps=5 * STEPS, restarts=2, loss="margin")
            for threat, strength in short
        ]
        return Raised(text, self.remedy, with_attacks(audit, *added))


def _silent(audit: Observed, numbers: list[int], threat: ThreatModel, strength: float) -> Bools:
    """The clips of digital silence, of all: an SNR lets nobody change them."""
    silent = np.zeros(audit.columns.n, dtype=np.bool_)
    for number in numbers:
        place = audit.places.get((number, strength))
        if place is not None and audit.attacks[number].threat == threat:
            point = audit.columns.point(place)
            silent[point.clip] |= point.silent
    return silent


def _not_run(audit: Observed, numbers: list[int]) -> NotRun:
    gradients = audit.which(lambda one: sees_gradients(one) and one.goal == "untargeted")
    if not gradients:
        return NotRun("No gradient attack without a target was scored.")
    threat = audit.adversaries[(numbers or gradients)[0]].threat
    strength = UNBOUNDED[threat.domain, threat.norm]
    added = attack("pgd", threat, [strength], steps=STEPS)
    return NotRun(
        f"No iterative attack was as strong as {strength:g} {threat.unit}.",
        f"Run pgd at {strength:g} {threat.unit} as well: it must break every clip.",
        with_attacks(audit, added),
    )
