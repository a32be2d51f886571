"""UAR of a setting over its seeds, and differences of two, with intervals by speaker and by seed.

Speakers and seeds are crossed: every model answers the same speakers. So a draw takes speakers,
each with all of its clips, and, apart from them, seeds (the pigeonhole bootstrap: Owen, Annals of
Applied Statistics 2007, Sec. 3). Of R seeds it draws R − 1, because R draws of few would make the
spread between seeds too small by (R − 1)/R (Rao & Wu, JASA 1988, Sec. 2). Percentiles of the draws
are those of an audit's figures (:mod:`models.audit.intervals`). A setting with one seed draws
speakers alone: its interval says nothing of other seeds.

Two settings are drawn on the same speakers, and with seeds of their own; one setting under two
changes is the same models, and is drawn with the same seeds.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from pydantic import Field

from models.audit.comparison.significance import McNemar, holm, t_test, z_test
from models.audit.figure import Figures
from models.audit.intervals import (
    DIGITS,
    DRAWS,
    Bools,
    Floats,
    Interval,
    Units,
    all_the_same,
    mean_recall,
    n_speakers,
    newcombe_near,
    percentiles,
    standard_error,
    weights,
    wilson_near,
)
from models.provenance import TrainedOn
from models.studies.answers import Answers, Missing

Drawn = Literal[
    "speakers_and_seeds",
    "speakers_and_some_seeds",
    "speakers",
    "clips_and_seeds",
    "clips_and_some_seeds",
    "clips",
    "none",
]
OTHER_DATA: Final = "one learnt from train, the other from train and dev"
"""Why two are not compared."""
METHODS: Final[dict[Drawn, str]] = {
    "speakers_and_seeds": "speakers and, apart from them, seeds are drawn",
    "speakers_and_some_seeds": "speakers are drawn and, apart from them, the seeds of models that"
    " have several; of those with one, nothing is said of other seeds",
    "speakers": "speakers are drawn; with one seed, nothing is said of other seeds",
    "clips_and_seeds": "clips and seeds are drawn, because speakers are unknown or fewer than 5:"
    " nothing is said of other speakers",
    "clips_and_some_seeds": "clips are drawn, because speakers are unknown or fewer than 5, and the"
    " seeds of models that have several; of those with one, nothing is said of other seeds",
    "clips": "clips are drawn, because speakers are unknown or fewer than 5, and there is one seed",
    "none": "all draws give the same number: Wilson's interval of the UAR as a share of the clips,"
    " or Newcombe's of a difference, which take clips for independent",
}
"""How an interval is made, in words."""


class Estimate(Figures):
    """UAR of the models of a setting: the mean over their seeds."""

    value: float = Field(description="Mean over the seeds.", examples=[0.61])
    interval: tuple[float, float] | None = Field(description="95 %.", examples=[[0.55, 0.66]])
    seeds: list[int] = Field(description="Of the models.")
    by_seed: list[float] = Field(description="UAR of each of them.")
    n: int = Field(description="Clips that each model answered.")
    n_speakers: int | None = Field(description="Of those clips; null where some are unknown.")
    drawn: Drawn = Field(
        description="What the interval draws. "
        + " ".join(f"`{name}`: {text}." for name, text in METHODS.items())
    )
    trained_on: TrainedOn = Field(description="What the models learnt from.")
    lacking: list[str] = Field(
        default_factory=list, description="Why seeds that the study has are not among them."
    )


class Difference(Figures):
    """UAR of `b` minus that of `a` on the same clips, over their seeds."""

    value: float
    interval: tuple[float, float] | None = Field(description="95 %.")
    of_a: float
    of_b: float
    n: int = Field(description="Clips that both answered.")
    n_speakers: int | None
    seeds_a: list[int]
    seeds_b: list[int]
    drawn: Drawn
    trained_on: TrainedOn = Field(description="What the models of both learnt from.")
    p: float | None = Field(
        description="That they differ by chance: two-sided, of Student's distribution, with as many"
        " degrees of freedom as there are speakers (or clips) less one. Where all draws give the"
        " same difference, 1 if that is 0, else null: nothing tells how it spreads."
    )
    p_holm: float | None = Field(
        default=None,
        description="Adjusted for all comparisons of the table; of a step of claim 3, for all"
        " steps. Null for what is no part of such a family, and where p is.",
    )
    z: float | None = Field(
        description="The paper's z-test of two proportions, pooled; n of each is the number of"
        " clips, whatever the number of seeds. Null where it is not defined."
    )
    z_p: float | None = Field(
        description="One-tailed p of z: that `b` is larger by chance. It takes a UAR for a share,"
        " clips for independent, and the same clips for different ones (Dietterich, Neural"
        " Computation 1998, Sec. 3.2); it is here to match the paper."
    )
    mcnemar: McNemar | None = Field(
        description="Clips that one of the two alone is right on, of the models with the lowest"
        " seed that both have; else of the lowest of each."
    )


def estimate(found: Answers) -> Estimate:
    """UAR with its interval; see the module."""
    units = Units.speakers(found.speaker)
    cells = _cells(units, found)
    by_seed = [float(one) for one in _uar(cells.sum(axis=1))]
    value = float(np.mean(by_seed))
    draws = _draws(cells)
    interval: Interval | None
    if units.count < 2 or all_the_same(draws):
        drawn: Drawn = "none"
        interval = wilson_near(value, len(found))
    else:
        drawn, interval = _drawn(units, [found]), percentiles(draws, value, units.count)
    return Estimate(
        value=value,
        interval=interval,
        seeds=list(found.seeds),
        by_seed=by_seed,
        n=len(found),
        n_speakers=n_speakers(found.speaker),
        drawn=drawn,
        trained_on=found.trained_on,
        lacking=list(found.lacking),
    )


def difference(a: Answers, b: Answers, *, same_models: bool = False) -> Difference | Missing:
    """UAR of ``b`` minus that of ``a``, paired by clip.

    Args:
        same_models: whether both are of the same models, which something else is done to.
    """
    return mean_difference([(a, b)], same_models=same_models)


def mean_difference(
    pairs: Sequence[tuple[Answers, Answers]], *, same_models: bool = False
) -> Difference | Missing:
    """The mean over several settings of UAR of ``b`` minus that of ``a``, on the clips that all
    have: in a draw the speakers are the same for all.

    Args:
        pairs: of one or more settings, such as one for each ε.
        same_models: see :func:`difference`.

    Returns:
        Why there is none, where they have no clip in common, or learnt from different data.
    """
    if len({one.trained_on for pair in pairs for one in pair}) > 1:
        return Missing(OTHER_DATA)
    clips = _common([one for pair in pairs for one in pair])
    if not clips:
        return Missing("the models have no scored clip in common")
    on = [(a.on(clips), b.on(clips)) for a, b in pairs]
    units = Units.speakers(on[0][0].speaker)
    of_a, draws_a = _mean(units, [a for a, _ in on], stream=1)
    of_b, draws_b = _mean(units, [b for _, b in on], stream=1 if same_models else 2)
    value, draws, n = of_b - of_a, draws_b - draws_a, len(clips)
    mcnemar = _mcnemar(*on[0]) if len(on) == 1 else None
    interval: Interval | None
    p: float | None
    if units.count < 2 or all_the_same(draws):
        drawn: Drawn = "none"
        interval = newcombe_near(of_b, of_a, n)
        # Without a spread there is no test, but no difference is no sign of one.
        p = 1.0 if math.isclose(value, 0, abs_tol=10**-DIGITS) else None
    else:
        drawn = _drawn(units, [one for pair in on for one in pair])
        interval = percentiles(draws, value, units.count)
        p = t_test(value, standard_error(draws, units.count), units.count)
    z, z_p = _z(of_a, of_b, n)
    return Difference(
        value=value,
        interval=interval,
        of_a=of_a,
        of_b=of_b,
        n=n,
        n_speakers=n_speakers(on[0][0].speaker),
        seeds_a=sorted({seed for a, _ in on for seed in a.seeds}),
        seeds_b=sorted({seed for _, b in on for seed in b.seeds}),
        drawn=drawn,
        trained_on=on[0][1].trained_on,
        p=p,
        z=z,
        z_p=z_p,
        mcnemar=mcnemar,
    )


def adjust(family: Iterable[Difference | None]) -> None:
    """Fill in ``p_holm`` of those that have a p, for each of them is a chance to find something."""
    known = [(one, one.p) for one in family if one is not None and one.p is not None]
    for (one, _), p in zip(known, holm([p for _, p in known]), strict=True):
        one.p_holm = p


def _common(every: Sequence[Answers]) -> list[tuple[str, str | None, int]]:
    first, *others = every
    known = [set(one.clips) for one in others]
    return [clip for clip in first.clips if all(clip in one for one in known)]


def _drawn(units: Units, every: Sequence[Answers]) -> Drawn:
    several = [len(one.seeds) > 1 for one in every]
    of_speakers = units.method == "bootstrap_speakers"
    if all(several):
        return "speakers_and_seeds" if of_speakers else "clips_and_seeds"
    if any(several):
        return "speakers_and_some_seeds" if of_speakers else "clips_and_some_seeds"
    return "speakers" if of_speakers else "clips"


def _mean(units: Units, every: Sequence[Answers], stream: int) -> tuple[float, Floats]:
    """The mean UAR of some settings, and the same in each draw, (draws,)."""
    cells = [_cells(units, one) for one in every]
    values = [float(_uar(one.sum(axis=1)).mean()) for one in cells]
    draws = [_draws(one, stream) for one in cells]
    return float(np.mean(values)), np.mean(draws, axis=0)


def _cells(units: Units, found: Answers) -> Floats:
    """Clips of each seed, unit and class that the model is wrong on, and right on:
    (seeds, units, 2 · classes)."""
    classes = np.unique(found.truth)
    kind = np.searchsorted(classes, found.truth) * 2
    return np.stack([units.cells(kind + right, 2 * len(classes)) for right in found.right])


def _uar(sums: Floats) -> Floats:
    """(…, 2 · classes) → (…)."""
    return mean_recall(sums.reshape(*sums.shape[:-1], -1, 2))


def _draws(cells: Floats, stream: int = 0) -> Floats:
    """UAR in each draw, (draws,).

    Args:
        cells: (seeds, units, 2 · classes).
        stream: of the seeds' draws: two settings have two.
    """
    seeds, units, _ = cells.shape
    each = np.stack([_uar(weights(units) @ one) for one in cells])
    found: Floats = (_seed_weights(seeds, stream) * each.T).sum(axis=1)
    return found


@lru_cache(maxsize=32)
def _seed_weights(seeds: int, stream: int) -> Floats:
    """By how much each seed counts in each draw, (draws, seeds)."""
    if seeds == 1:
        return np.ones((DRAWS, 1))
    rng = np.random.default_rng([seeds, stream])
    drawn = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=DRAWS)
    return drawn.astype(np.float64) / (seeds - 1)


def _mcnemar(a: Answers, b: Answers) -> McNemar:
    both = sorted(set(a.seeds) & set(b.seeds))
    right_a, right_b = (_of_seed(one, both) for one in (a, b))
    return McNemar.of(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()))


def _of_seed(one: Answers, both: Sequence[int]) -> Bools:
    place = one.seeds.index(both[0]) if both else 0
    right: Bools = one.right[place]
    return right


def _z(of_a: float, of_b: float, n: int) -> tuple[float | None, float | None]:
    from scipy.special import ndtr

    found = z_test(of_a, of_b, n)
    return (None, None) if found is None else (found.z, float(ndtr(-found.z)))


__all__ = [
    "METHODS",
    "Difference",
    "Drawn",
    "Estimate",
    "adjust",
    "difference",
    "estimate",
    "mean_difference",
]
