"""The paper's five claims, each judged from the study's own figures.

A claim is a list of differences of UAR that should be above 0, on test clips. One rule judges all:

- *holds*: the 95 % interval of every difference lies above 0;
- *does not hold*: the interval of one lies below 0;
- *undecided*: neither, so these clips, speakers and seeds do not tell;
- *not tested*: what it takes was not trained or not audited.

A network is judged only if all that the claim takes of it is there; of one that is not, the claim
is not tested on it, and says so. The last claim asks for the paper's z-test as well. Claims about
attacked clips are judged under FGSM, as in the paper, and again under PGD-10 and in the worst case
of all attacks of the audits. For their number intervals are not adjusted, as a claim holds only if
all of its differences do. The steps of a falling curve are: each is searched for one that rises.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Final, Literal

from pydantic import Field

from models.audit.figure import Figures
from models.studies.answers import CLEAN, NAMES, Answers, Change, Condition, Missing
from models.studies.estimate import Difference, adjust, mean_difference
from models.studies.findings import OF_THE_PAPER, SINGLE, Findings, Setting, family
from models.studies.tables.performance import Chosen, PerformanceTable
from models.studies.tables.table import (
    NOTHING,
    Record,
    Sheet,
    StudyTable,
    difference_record,
    probability,
    stand_ins,
    strength,
)
from models.studies.tables.table import difference as with_interval

Verdict = Literal["holds", "does not hold", "undecided", "not tested"]
ATTACKS: Final[tuple[Change, ...]] = ("fgsm", "pgd10", "worst_case")
SIGNIFICANT: Final = 0.001
"""Of the paper's one-tailed z-test."""
RULE: Final = (
    "Holds if the 95 % interval of every difference lies above 0; does not hold if one lies below"
    " 0; else undecided."
)
LEVEL: Final = 0.05
"""Of the steps of claim 3, adjusted for their number."""
UNJUDGED: Final = "not judged, as another difference that the claim takes of the network is missing"


class Evidence(Figures):
    """A difference that the claim says is above 0."""

    words: str = Field(examples=["cnn4: vanilla .06 − single, real test clips"])
    difference: Difference | None = None
    missing: str | None = None
    judged: bool = Field(
        default=True,
        description="Whether the verdict rests on it: all that the claim takes of the network is"
        " there.",
    )

    @property
    def why_not(self) -> str | None:
        """Why the verdict does not rest on it."""
        return self.missing or (None if self.judged else UNJUDGED)


class Claim(Figures):
    """A claim of the paper under one attack."""

    number: int
    claim: str
    change: Change
    verdict: Verdict
    rule: str
    evidence: list[Evidence]
    not_tested: list[str] = Field(
        description="Networks of which a part of the evidence is missing: it is not judged on them."
    )


class ClaimsTable(StudyTable):
    """The five claims with their verdicts."""

    name: ClassVar[str] = "claims"

    claims: list[Claim]

    @classmethod
    def of(cls, findings: Findings, performance: PerformanceTable) -> "ClaimsTable":
        """Judged on what the study has.

        Args:
            performance: says which ε dev chose.
        """
        judge = _Judge(findings, performance)
        return cls(
            claims=[
                judge.augmentation(),
                *(judge.similarity(change) for change in ATTACKS),
                *(judge.falling(change) for change in ATTACKS),
                *(judge.architectures(change) for change in ATTACKS),
                judge.significance(),
            ]
        )

    def sheets(self) -> Iterator[Sheet]:
        """The verdicts, then what they rest on."""
        yield Sheet(
            name="claims",
            title="The paper's claims, on this corpus",
            heads=("", "claim", "under", "verdict", "differences above 0 / judged"),
            rows=tuple(
                (str(c.number), c.claim, NAMES[c.change], c.verdict, _tally(c.evidence))
                for c in self.claims
            ),
            notes=(
                *dict.fromkeys(f"Claim {c.number}: {c.rule}" for c in self.claims),
                *(
                    f"Claim {c.number}, {NAMES[c.change]}: not tested on {', '.join(c.not_tested)}."
                    for c in self.claims
                    if c.not_tested
                ),
            ),
        )
        yield Sheet(
            name="claims-evidence",
            title="What the verdicts rest on",
            heads=(
                "claim", "under", "difference of UAR", "with 95 % interval", "Holm p",
                "one-tailed p of z", "n (speakers)", "seeds",
            ),
            rows=tuple(
                (str(c.number), NAMES[c.change], one.words, *_cells(one))
                for c in self.claims
                for one in c.evidence
            ),
            notes=(
                *stand_ins((one.words, one.difference) for c in self.claims for one in c.evidence),
                *dict.fromkeys(
                    f"{one.words}: {one.why_not}."
                    for c in self.claims
                    for one in c.evidence
                    if one.why_not
                ),
            ),
        )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for claim in self.claims:
            yield Record(
                table=self.name,
                of=f"claim {claim.number}",
                condition=claim.change,
                figure="verdict",
                value=claim.verdict,
            )
            for one in claim.evidence:
                yield Record(
                    table=self.name,
                    of=f"claim {claim.number}",
                    condition=claim.change,
                    against=one.words,
                    **difference_record(one.difference),
                    missing=one.why_not,
                )


def verdict(evidence: Sequence[Evidence]) -> Verdict:
    """By the rule of the module."""
    found = [one.difference for one in evidence if one.difference is not None]
    if not found or len(found) < len(evidence):
        return "not tested"
    if all(_above(one) for one in found):
        return "holds"
    if any(_below(one) for one in found):
        return "does not hold"
    return "undecided"


def _above(one: Difference) -> bool:
    return one.interval is not None and one.interval[0] > 0


def _below(one: Difference) -> bool:
    return one.interval is not None and one.interval[1] < 0


Pair = tuple[Answers | Missing, Answers | Missing]
"""What a difference is taken from, and of what."""


class _Judge:
    """Collects the evidence of each claim, of test clips."""

    def __init__(self, findings: Findings, performance: PerformanceTable) -> None:
        self._findings = findings
        self._performance = performance

    def augmentation(self) -> Claim:
        """Claim 1."""
        evidence = {
            architecture: [self._better_than_single(architecture, one) for one in OF_THE_PAPER]
            for architecture in self._findings.architectures
        }
        return self._claim(
            1,
            "Adversarial clips as augmentation help on real speech.",
            "clean",
            evidence,
            "The difference is that of each adversarial training of the paper, at the ε that dev"
            " chose, minus single training, on real test clips, network by network.",
        )

    def similarity(self, change: Change) -> Claim:
        """Claim 2."""
        evidence = {
            architecture: [self._similarity_minus_vanilla(architecture, change)]
            for architecture in self._findings.architectures
        }
        return self._claim(
            2,
            "Similarity-based training beats vanilla adversarial training on adversarial clips.",
            change,
            evidence,
            "The difference is that of similarity minus vanilla, trained with and attacked at the"
            " same ε, mean over the ε that both have, network by network.",
        )

    def falling(self, change: Change) -> Claim:
        """Claim 3: the drop over the whole grid, and the steps of it that rise."""
        drops = {
            architecture: list(self._drops(architecture, change))
            for architecture in self._findings.architectures
        }
        adjust(one.difference for _, *steps in drops.values() for one in steps)
        evidence = {
            architecture: [
                drop,
                *(one for one in steps if not drop.missing and (one.missing or _rises(one))),
            ]
            for architecture, (drop, *steps) in drops.items()
        }
        return self._claim(
            3,
            "The UAR of models that were trained without a defence falls as ε grows.",
            change,
            evidence,
            "The difference is UAR on real clips minus UAR at the largest ε of the grid, network"
            " by network. A step from one ε to the next that rises is a difference below 0, and"
            " stands beside it: one whose interval lies below 0 and whose p, adjusted for all"
            f" steps of all networks (Holm), is below {LEVEL:g}, or is none, as all draws agree.",
        )

    def architectures(self, change: Change) -> Claim:
        """Claim 4."""
        pairs = (("vgg16", "cnn4"), ("vgg16", "resnet50"), ("cnn4", "resnet50"))
        return self._claim(
            4,
            "VGG-16 is the most robust network, ResNet-50 the least.",
            change,
            {
                "all three networks": [
                    self._network_minus_network(better, worse, change) for better, worse in pairs
                ]
            },
            "The difference is that of two networks, mean over the adversarial trainings of the"
            " paper and the ε that both have, each attacked at the ε of its training.",
        )

    def significance(self) -> Claim:
        """Claim 5: the best on dev of all adversarial trainings against the best single one."""
        best = self._best(OF_THE_PAPER)
        single = self._best((SINGLE,))
        rule = (
            "The difference is that of the best adversarial training minus the best single one,"
            " both chosen on real dev clips over all networks, on real test clips. Beside the"
            f" interval, p of the paper's one-tailed z-test must be below {SIGNIFICANT:g}."
        )
        if best is None or single is None:
            why = Evidence(
                words="best adversarial − best single, real test clips",
                missing="one of the two was not audited on dev",
            )
            return self._claim(5, _SIGNIFICANCE, "clean", {"the best models": [why]}, rule)
        words = f"{_named(best)} − {_named(single)}, real test clips"
        one = _compared(words, self._alike([(_real(single), _real(best))]))
        claim = self._claim(5, _SIGNIFICANCE, "clean", {"the best models": [one]}, rule)
        z_p = None if one.difference is None else one.difference.z_p
        if claim.verdict == "holds" and (z_p is None or z_p >= SIGNIFICANT):
            return claim.model_copy(update={"verdict": "undecided"})
        return claim

    def _claim(
        self,
        number: int,
        claim: str,
        change: Change,
        evidence: Mapping[str, Sequence[Evidence]],
        what: str,
    ) -> Claim:
        """
        Args:
            evidence: of each network, or of several that are judged together.
        """
        lacking = [
            name
            for name, found in evidence.items()
            if any(one.missing is not None for one in found)
        ]
        every = [
            one.model_copy(update={"judged": name not in lacking})
            for name, found in evidence.items()
            for one in found
        ]
        return Claim(
            number=number,
            claim=claim,
            change=change,
            verdict=verdict([one for one in every if one.judged]),
            rule=f"{what} {RULE}",
            evidence=every,
            not_tested=lacking,
        )

    def _better_than_single(self, architecture: str, training: str) -> Evidence:
        chosen = self._performance.best(architecture, training)
        single = self._performance.best(architecture, SINGLE)
        words = f"{architecture}: {training} − {SINGLE}, real test clips"
        if chosen is None or single is None:
            lacking = training if chosen is None else SINGLE
            return Evidence(words=words, missing=f"{lacking} was not audited on dev")
        words = f"{architecture}: {_sided(chosen)} − {SINGLE}, real test clips"
        return _compared(words, self._alike([(_real(single), _real(chosen))]))

    def _similarity_minus_vanilla(self, architecture: str, change: Change) -> Evidence:
        vanilla, similarity = (self._label(architecture, one) for one in OF_THE_PAPER)
        own = self._findings.epsilons_of(architecture, similarity)
        shared = [e for e in self._findings.epsilons_of(architecture, vanilla) if e in own]
        pairs = [
            (
                _attacked(architecture, vanilla, epsilon, change),
                _attacked(architecture, similarity, epsilon, change),
            )
            for epsilon in shared
        ]
        words = f"{architecture}: similarity − vanilla, {NAMES[change]}"
        return self._of_known(words, shared, pairs, "no ε that both were trained with")

    def _drops(self, architecture: str, change: Change) -> Iterator[Evidence]:
        """From real clips to the largest ε, then step by step."""
        epsilons = [None, *sorted(self._findings.epsilons)]
        if len(epsilons) < 2:
            yield Evidence(words=f"{architecture}: falls", missing="the grid has no ε")
            return
        steps = list(pairwise(epsilons)) if len(epsilons) > 2 else []
        for low, high in [(epsilons[0], epsilons[-1]), *steps]:
            words = f"{architecture} single: {_at(low)} − {_at(high)}, {NAMES[change]}"
            pair = (_single(architecture, high, change), _single(architecture, low, change))
            yield _compared(words, self._alike([pair]), same_models=True)

    def _network_minus_network(self, better: str, worse: str, change: Change) -> Evidence:
        labels = [
            (self._label(better, training), self._label(worse, training))
            for training in OF_THE_PAPER
        ]
        settings = [
            (of_better, of_worse, epsilon)
            for of_better, of_worse in labels
            for epsilon in self._findings.epsilons_of(better, of_better)
            if epsilon in self._findings.epsilons_of(worse, of_worse)
        ]
        pairs = [
            (
                _attacked(worse, of_worse, epsilon, change),
                _attacked(better, of_better, epsilon, change),
            )
            for of_better, of_worse, epsilon in settings
        ]
        words = f"{better} − {worse}, {NAMES[change]}"
        lacking = [a for a in (better, worse) if a not in self._findings.architectures]
        why = f"{' and '.join(lacking)} not in the study" if lacking else "no ε in common"
        return self._of_known(words, [epsilon for *_, epsilon in settings], pairs, why)

    def _of_known(
        self,
        words: str,
        epsilons: Sequence[float | None],
        pairs: Sequence[tuple[Setting, Setting]],
        otherwise: str,
    ) -> Evidence:
        """The mean over the settings of which both sides are known, and which ones those are."""
        found = self._alike(pairs)
        known = [
            (epsilon, pair)
            for epsilon, pair in zip(epsilons, found, strict=True)
            if not any(isinstance(one, Missing) for one in pair)
        ]
        if not known:
            whys = [one.reason for pair in found for one in pair if isinstance(one, Missing)]
            return Evidence(words=words, missing=next(iter(whys), otherwise))
        told = ", ".join(dict.fromkeys(strength(epsilon) for epsilon, _ in known))
        return _compared(f"{words}, ε = {told}", [pair for _, pair in known])

    def _alike(self, pairs: Sequence[tuple[Setting, Setting]]) -> list[Pair]:
        """Of models that all learnt from the same data."""
        found = self._findings.alike([one for pair in pairs for one in pair])
        return list(zip(found[::2], found[1::2], strict=True))

    def _best(self, trainings: Sequence[str]) -> Chosen | None:
        """By UAR on real dev clips, over all networks; the first of equals."""
        known = [
            (one.dev.estimate.value, one)
            for one in self._performance.chosen
            if family(one.training) in trainings and one.dev.estimate is not None
        ]
        return max(known, key=lambda each: each[0])[1] if known else None

    def _label(self, architecture: str, training: str) -> str:
        """The parameters of a type of training that dev chose, or the only ones."""
        chosen = self._performance.best(architecture, training)
        if chosen is None:
            return self._findings.label(architecture, training)
        return chosen.training


_SIGNIFICANCE: Final = "The gain of adversarial training on real speech is significant."


def _compared(words: str, pairs: Sequence[Pair], *, same_models: bool = False) -> Evidence:
    known = []
    for a, b in pairs:
        for one in (a, b):
            if isinstance(one, Missing):
                return Evidence(words=words, missing=one.reason)
        assert isinstance(a, Answers)
        assert isinstance(b, Answers)
        known.append((a, b))
    found = mean_difference(known, same_models=same_models)
    if isinstance(found, Missing):
        return Evidence(words=words, missing=found.reason)
    return Evidence(words=words, difference=found)


def _real(chosen: Chosen) -> Setting:
    return chosen.architecture, chosen.training, chosen.epsilon, "test", CLEAN


def _attacked(architecture: str, training: str, epsilon: float | None, change: Change) -> Setting:
    return architecture, training, epsilon, "test", Condition(change, epsilon)


def _single(architecture: str, epsilon: float | None, change: Change) -> Setting:
    condition = CLEAN if epsilon is None else Condition(change, epsilon)
    return architecture, SINGLE, None, "test", condition


def _rises(step: Evidence) -> bool:
    """Whether UAR is higher at the larger ε, for all the steps that there are."""
    one = step.difference
    return one is not None and _below(one) and (one.p_holm is None or one.p_holm < LEVEL)


def _sided(chosen: Chosen) -> str:
    epsilon = "" if chosen.epsilon is None else f" {strength(chosen.epsilon)}"
    return f"{chosen.training}{epsilon}"


def _named(chosen: Chosen) -> str:
    return f"{chosen.architecture} {_sided(chosen)}"


def _at(epsilon: float | None) -> str:
    return "real" if epsilon is None else f"ε {strength(epsilon)}"


def _tally(evidence: Sequence[Evidence]) -> str:
    """Such as "1 / 2 of 6"."""
    judged = [one.difference for one in evidence if one.judged and one.difference is not None]
    return f"{sum(one.value > 0 for one in judged)} / {len(judged)} of {len(evidence)}"


def _cells(one: Evidence) -> tuple[str, ...]:
    found = one.difference
    if found is None:
        return (NOTHING,) * 5
    speakers = NOTHING if found.n_speakers is None else str(found.n_speakers)
    seeds = " − ".join(str(len(each)) for each in (found.seeds_b, found.seeds_a))
    return (
        with_interval(found),
        probability(found.p_holm),
        probability(found.z_p),
        f"{found.n} ({speakers})",
        seeds,
    )
