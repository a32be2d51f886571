"""Whether a training is better than another: the paper's z-test, and what stands up beside it.

All comparisons of a study are one family, for which p is adjusted (Holm 1979). The ε of a training
is the one that dev chose, so dev figures of it are flattered; those of test are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import Field

from models.audit.figure import Figures
from models.studies.answers import CLEAN, NAMES, Change, Condition, Missing
from models.studies.estimate import OTHER_DATA, Difference, adjust, difference
from models.studies.findings import AUGMENTED, OF_THE_PAPER, SINGLE, Findings, Setting, family
from models.studies.outcome import PARTITIONS, Partition
from models.studies.tables.performance import PerformanceTable
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

NO_P: Final = "p is a dash where all draws give the same difference: nothing tells how it spreads."

Question = Literal["better than single", "better than noise", "similarity better than vanilla"]
ATTACKED: Final[tuple[Change, ...]] = ("fgsm", "pgd10", "worst_case")

OF_Z: Final = (
    "z is the paper's test, in which n of each UAR is the number of clips. It takes clips for"
    " independent, and the two models' clips for different ones. McNemar's test takes clips for"
    " independent; p by speaker takes neither."
)


class Side(Figures):
    """A training with its ε."""

    training: str
    epsilon: float | None

    @property
    def words(self) -> str:
        """Such as "vanilla .06"."""
        return (
            self.training if self.epsilon is None else f"{self.training} {strength(self.epsilon)}"
        )


class Comparison(Figures):
    """Whether `b` is better than `a`."""

    question: Question
    architecture: str
    partition: Partition
    change: Change
    epsilon: float | None = Field(description="Of the attack; null for clips as they are.")
    a: Side
    b: Side
    difference: Difference | None = None
    missing: str | None = None


class SignificanceTable(StudyTable):
    """Differences of UAR with their tests."""

    name: ClassVar[str] = "significance"

    comparisons: list[Comparison]

    @classmethod
    def of(cls, findings: Findings, performance: PerformanceTable) -> "SignificanceTable":
        """Of all networks of the grid, with p adjusted for all of them.

        Args:
            performance: says which ε dev chose.
        """
        pairs = _Pairs(findings, performance)
        found = [
            one
            for architecture in findings.architectures
            for partition in PARTITIONS
            for one in pairs.of(architecture, partition)
        ]
        adjust(one.difference for one in found)
        return cls(comparisons=found)

    def sheets(self) -> Iterator[Sheet]:
        """See :class:`StudyTable`."""
        found = [one.difference for one in self.comparisons if one.difference is not None]
        tested = sum(one.p is not None for one in found)
        lacking = [one for one in self.comparisons if one.missing is not None]
        why = dict.fromkeys(
            f"{one.architecture} {one.b.words} − {one.a.words}, {_where(one)}: {one.missing}."
            for one in lacking
        )
        yield Sheet(
            name="significance",
            title="Differences of UAR, paired by clip, and their tests",
            heads=(
                "network", "clips", "difference", "UAR", "p", "Holm p", "z", "one-tailed p of z",
                "McNemar b / c, p", "n (speakers)",
            ),
            rows=tuple(_line(one) for one in self.comparisons),
            notes=(
                f"Holm p is adjusted for the {tested} comparisons of this table.",
                OF_Z,
                *([NO_P] if tested < len(found) else []),
                *stand_ins(
                    (f"{one.architecture} {one.b.words} − {one.a.words}", one.difference)
                    for one in self.comparisons
                    if one.partition == "test"
                ),
                *why,
            ),
        )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for one in self.comparisons:
            yield Record(
                table=self.name,
                architecture=one.architecture,
                training=one.b.training,
                trained_epsilon=one.b.epsilon,
                partition=one.partition,
                condition=one.change,
                epsilon=one.epsilon,
                against=one.a.words,
                **difference_record(one.difference),
                missing=one.missing,
            )


@dataclass(frozen=True)
class _Pairs:
    """What is compared."""

    findings: Findings
    performance: PerformanceTable

    def of(self, architecture: str, partition: Partition) -> Iterator[Comparison]:
        """On a network and a partition."""
        for training in dict.fromkeys(map(family, self.findings.adversarial)):
            yield from self._chosen("better than single", architecture, partition, SINGLE, training)
            for noise in AUGMENTED:
                yield from self._chosen(
                    "better than noise", architecture, partition, noise, training
                )
        vanilla, similarity = (self._label(architecture, one) for one in OF_THE_PAPER)
        similar = self.findings.epsilons_of(architecture, similarity)
        for epsilon in self.findings.epsilons_of(architecture, vanilla):
            if epsilon in similar:
                for change in ATTACKED:
                    yield self._compared(
                        "similarity better than vanilla",
                        architecture,
                        partition,
                        Condition(change, epsilon),
                        Side(training=vanilla, epsilon=epsilon),
                        Side(training=similarity, epsilon=epsilon),
                    )

    def _label(self, architecture: str, training: str) -> str:
        """The parameters of a type of training that dev chose, or the only ones."""
        chosen = self.performance.best(architecture, training)
        if chosen is None:
            return self.findings.label(architecture, training)
        return chosen.training

    def _chosen(
        self, question: Question, architecture: str, partition: Partition, a: str, b: str
    ) -> Iterator[Comparison]:
        """Two trainings on real clips, each at the ε that dev chose; none where it chose none."""
        chosen = [self.performance.best(architecture, one) for one in (a, b)]
        sides = [
            Side(training=one.training, epsilon=one.epsilon) for one in chosen if one is not None
        ]
        if len(sides) == len(chosen):
            yield self._compared(question, architecture, partition, CLEAN, *sides)

    def _compared(
        self,
        question: Question,
        architecture: str,
        partition: Partition,
        condition: Condition,
        a: Side,
        b: Side,
    ) -> Comparison:
        one = Comparison(
            question=question,
            architecture=architecture,
            partition=partition,
            change=condition.change,
            epsilon=condition.epsilon,
            a=a,
            b=b,
        )
        settings: list[Setting] = [
            (architecture, side.training, side.epsilon, partition, condition) for side in (a, b)
        ]
        sides = []
        for side, answers in zip((a, b), self.findings.alike(settings), strict=True):
            if isinstance(answers, Missing):
                why = answers.reason
                one.missing = why if why == OTHER_DATA else f"{side.words}: {why}"
                return one
            sides.append(answers)
        found = difference(*sides)
        if isinstance(found, Missing):
            one.missing = found.reason
        else:
            one.difference = found
        return one


def _where(one: Comparison) -> str:
    epsilon = "" if one.epsilon is None else f" {strength(one.epsilon)}"
    return f"{NAMES[one.change]}{epsilon} {one.partition}"


def _line(one: Comparison) -> tuple[str, ...]:
    what = f"{one.b.words} − {one.a.words}"
    found = one.difference
    if found is None:
        return (one.architecture, _where(one), what, *[NOTHING] * 7)
    mcnemar = found.mcnemar
    return (
        one.architecture,
        _where(one),
        what,
        with_interval(found),
        probability(found.p),
        probability(found.p_holm),
        NOTHING if found.z is None else f"{found.z:.2f}".replace("-", "−"),
        probability(found.z_p),
        NOTHING if mcnemar is None else f"{mcnemar.c} / {mcnemar.b}, {probability(mcnemar.p)}",
        f"{found.n} ({NOTHING if found.n_speakers is None else found.n_speakers})",
    )
