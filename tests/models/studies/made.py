"""Cells of a study, with audits made up of chances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, Summary
from models.audit.perturbation import Perturbation
from models.audit.result import Scale
from models.audit.summary import points
from models.studies.findings import Findings
from models.studies.outcome import Audited, CellOutcome, Partition
from tests.models.audit.comparison.audits import outcomes
from tests.models.audit.rows import LABELS, row, under

EPSILONS: Final = (0.02, 0.06)
ATTACKS: Final = (
    Fgsm(epsilon=EPSILONS),
    Pgd(epsilon=EPSILONS, steps=10),
    Noise(epsilon=EPSILONS),
)


def rows(
    seed: int,
    clean: float,
    attacked: Mapping[tuple[int, float], float],
    *,
    speakers: int = 8,
    clips: int = 6,
    attacks: Sequence[Perturbation] = ATTACKS,
) -> list[AuditRow]:
    """Clips on which a model is right by chance.

    Args:
        clean: share of the clips that it is right on.
        attacked: the same at a point of the curve.
        clips: of each speaker.
    """
    draws = np.random.default_rng(seed)

    def said(label: str, share: float) -> str:
        others = [one for one in LABELS if one != label]
        return label if draws.random() < share else str(draws.choice(others))

    made = []
    for n in range(speakers * clips):
        label = LABELS[n % len(LABELS)]
        told = [
            under(one.attack, one.strength, said(label, attacked[one.attack, one.strength]))
            for one in points(attacks)
        ]
        speaker = f"s{n // clips}"
        made.append(row(label, said(label, clean), told, index=n, speaker=speaker, gender="f"))
    return made


def audited(made: Sequence[AuditRow], attacks: Sequence[Perturbation] = ATTACKS) -> Audited:
    """A finished audit with these rows."""
    summary = Summary(LABELS, attacks)
    for one in made:
        summary.add(one)
    result = summary.result(
        of=len(made), scale=Scale(lowest=1, median=1, highest=1), seconds={0: 2.0}
    )
    return Audited("audit_1", result, outcomes("audit_1", made, attacks))


@lru_cache(maxsize=256)
def _audited(
    seed: int, clean: float, attacked: tuple[tuple[tuple[int, float], float], ...]
) -> Audited:
    """Cells of several tests are the same."""
    return audited(rows(seed, clean, dict(attacked)))


def shares(fgsm: float, pgd: float, noise: float) -> dict[tuple[int, float], float]:
    """Shares that do not fall with ε."""
    return {(n, at): share for n, share in enumerate((fgsm, pgd, noise)) for at in EPSILONS}


def cell(
    training: str = "single",
    epsilon: float | None = None,
    seed: int = 0,
    *,
    architecture: str = "cnn4",
    clean: float = 0.8,
    attacked: Mapping[tuple[int, float], float] | None = None,
    partitions: Sequence[Partition] = ("dev", "test"),
    **fields: Any,
) -> CellOutcome:
    """A finished cell; its draws are its own."""
    told = shares(0.5, 0.4, 0.7) if attacked is None else attacked
    number = sum(map(ord, f"{architecture}{training}{epsilon}")) + 1000 * seed
    audits = {
        partition: _audited(number + 7 * place, clean, tuple(told.items()))
        for place, partition in enumerate(partitions)
    }
    made = CellOutcome(
        name=f"{architecture}-{training}-{epsilon}-{seed}",
        architecture=architecture,
        training=training,
        epsilon=epsilon,
        seed=seed,
        iterations=100,
        seconds=20.0,
        device="a CPU",
        audits=audits,
    )
    return replace(made, **fields)


def study(*cells: CellOutcome) -> Findings:
    """Of these cells."""
    return Findings(cells, EPSILONS)
