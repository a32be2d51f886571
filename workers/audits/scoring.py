"""Scores an audit chunk by chunk: what is finished is kept at once, and never scored twice."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

import torch

from models.audit import Audit, AuditRow, ClipPrediction, Summary, points
from models.audit.evidence import AttackedPrediction, SmallestStrength
from models.audit.minimum import smallest_strengths
from models.corruptions import Corruption
from models.memory import is_out_of_memory
from models.victims import Cost
from workers.audits.choice import BrokenClips, Choice
from workers.audits.pacing import OutOfTime
from workers.audits.record import Record

T = TypeVar("T")

TOLD: Final = 20
"""News of an audit, `scored` events: each is a row, and progress is told anyway."""


class Pace(Protocol):
    """Told how far the work is; see :class:`workers.audits.pacing.Pacing`."""

    @property
    def seconds(self) -> float:
        """That it has taken so far."""

    def take_over(self, made: Cost) -> None:
        """An earlier attempt has made these passes."""


class Scoring:
    """The work of one attempt, on all clips or on those of a shard.

    Args:
        audit: what is run.
        record: what is kept, and of which clips.
        shown: clips whose inputs are kept to be shown.
        pacing: of the audit.
        tell: told of what happens: the type of an event, and its data.
        warn: tells the owner something.
        group_by: what the groups of the clips are called.
    """

    def __init__(
        self,
        audit: Audit,
        record: Record,
        shown: int,
        pacing: Pace,
        tell: Callable[[str, dict[str, Any]], None],
        warn: Callable[[str], None],
        group_by: str | None = None,
    ) -> None:
        self.summary = Summary(audit.victim.labels, audit.attacks, group_by)
        self.done = 0
        """Clips whose rows are written."""
        self._audit = audit
        self._record = record
        self._pacing = pacing
        self._tell = tell
        self._warn = warn
        self.broken = BrokenClips(audit.attacks)
        """Those that exhibits are chosen from."""
        self._choice = Choice(shown)
        self._points = points(audit.attacks)
        self._halved = False
        self._told = 0

    @property
    def shown(self) -> list[int]:
        """The clips to show, by index, in the order of showing."""
        return self._choice.indices

    @property
    def kept(self) -> list[int]:
        """The clips of which inputs are kept: those to show, and those that exhibits are chosen
        from."""
        return sorted({*self._choice.indices, *self.broken.kept})

    def run(self) -> None:
        """Score all clips that are not scored yet.

        Raises:
            Stopped: the worker is to stop.
            OutOfTime: the audit has had its time.
        """
        self._resume()
        clips = self._record.clips
        total = len(clips)
        while self.done < total:
            indices = clips[self.done : self.done + self._record.chunk]
            self._finish(self._chunk(self._number, indices))
            if self.done - self._told >= max(1, total // TOLD) or self.done == total:
                self._told = self.done
                self._tell("scored", {"clips": self.done, "of": total})

    def run_in_time(self) -> bool:
        """The same; if the audit has had its time, with what is finished until then.

        Returns:
            Whether all is scored.

        Raises:
            Stopped: the worker is to stop.
        """
        try:
            self.run()
        except OutOfTime:
            self.keep_partial()
            return False
        return True

    def keep_partial(self) -> None:
        """Take over what is finished of the chunk under way: there is no time for the rest."""
        chunk = self._number
        clean = self._record.clean(chunk)
        if clean is None:
            return
        found = {
            number: outcomes
            for number in range(len(self._points))
            if (outcomes := self._record.point(chunk, number)) is not None
        }
        smallest = {
            attack: strengths
            for attack in range(len(self._audit.attacks))
            if (strengths := self._record.minimum(chunk, attack)) is not None
        }
        self._finish(self._rows(clean, found, smallest))

    @property
    def _number(self) -> int:
        """Of the chunk under way."""
        return self.done // self._record.chunk

    def _resume(self) -> None:
        for row in self._record.rows():
            self._count(row)
            self._pacing.take_over(_spent([*row.attacked, *row.minimum]) + Cost(forwards=1))
        self._told = self.done
        if self.done:
            self._tell("resumed", {"clips": self.done})

    def _count(self, row: AuditRow) -> None:
        self.summary.add(row)
        self._choice.add(row)
        self.broken.add(row)
        self.done += 1

    def _finish(self, rows: Sequence[AuditRow]) -> None:
        for row in rows:
            self._count(row)
        self._record.finish_chunk(
            rows, self._choice.indices, self._pacing.seconds, self.broken.kept
        )

    def _chunk(self, chunk: int, indices: Sequence[int]) -> list[AuditRow]:
        clean = self._record.clean(chunk)
        if clean is None:
            clean = self._within_memory(lambda: self._audit.clean(indices))
            self._record.save_clean(chunk, clean)
        else:
            self._pacing.take_over(Cost(forwards=len(clean)))
        found: dict[int, dict[int, AttackedPrediction]] = {}
        smallest: dict[int, dict[int, SmallestStrength]] = {}
        for attack in range(len(self._audit.attacks)):
            self._attack(chunk, attack, clean, found)
            if self._audit.attacks[attack].minimum:
                smallest[attack] = self._minimum(chunk, attack, clean, found)
        return self._rows(clean, found, smallest)

    def _attack(
        self,
        chunk: int,
        number: int,
        clean: dict[int, ClipPrediction],
        found: dict[int, dict[int, AttackedPrediction]],
    ) -> None:
        """All strengths of one attack, those that are kept already left out."""
        own = {
            one.strength: place for place, one in enumerate(self._points) if one.attack == number
        }
        kept = {
            place: outcomes
            for place in own.values()
            if (outcomes := self._record.point(chunk, place)) is not None
        }
        if len(kept) < len(own) and self._shares_work(number):
            kept = {}  # one strength alone would cost more than its row says
        for outcomes in kept.values():
            self._pacing.take_over(_spent(outcomes.values()))
        found |= kept
        missing = {strength: place for strength, place in own.items() if place not in kept}
        if missing:
            self._within_memory(lambda: self._score(chunk, number, missing, clean, found))

    def _shares_work(self, number: int) -> bool:
        """Whether an attack does something once for several strengths."""
        attack, classes = self._audit.attacks[number], len(self._audit.victim.labels)
        if isinstance(attack, Corruption):
            return False
        return attack.cost(classes, 2) != attack.cost(classes) * 2

    def _score(
        self,
        chunk: int,
        attack: int,
        missing: dict[float, int],
        clean: dict[int, ClipPrediction],
        found: dict[int, dict[int, AttackedPrediction]],
    ) -> None:
        """Score strengths, and take those out of ``missing`` that need not be scored again if the
        memory gives out at the next."""
        alone = not self._shares_work(attack)
        began = time.perf_counter()
        for point in self._audit.points(attack, list(missing), clean):
            number = missing[point.strength]
            self._record.save_point(
                chunk, number, point, time.perf_counter() - began, inputs=self._choice.most > 0
            )
            found[number] = point.outcomes
            if alone:
                del missing[point.strength]
            began = time.perf_counter()

    def _minimum(
        self,
        chunk: int,
        attack: int,
        clean: dict[int, ClipPrediction],
        found: dict[int, dict[int, AttackedPrediction]],
    ) -> dict[int, SmallestStrength]:
        kept = self._record.minimum(chunk, attack)
        if kept is not None:
            self._pacing.take_over(_spent(kept.values()))
            return kept
        began = time.perf_counter()
        own = [number for number, point in enumerate(self._points) if point.attack == attack]
        attacked = {index: [found[number][index] for number in own] for index in clean}
        smallest = self._within_memory(
            lambda: smallest_strengths(self._audit, attack, clean, attacked)
        )
        self._record.save_minimum(chunk, attack, smallest, time.perf_counter() - began)
        return smallest

    def _rows(
        self,
        clean: dict[int, ClipPrediction],
        found: dict[int, dict[int, AttackedPrediction]],
        smallest: dict[int, dict[int, SmallestStrength]],
    ) -> list[AuditRow]:
        rows = []
        for index, said in clean.items():
            facts = self._audit.clips.facts(index)
            codes = self._audit.clips.warning_codes(index)
            rows.append(
                AuditRow(
                    index=index,
                    clip=facts.name,
                    label=facts.label,
                    speaker=facts.speaker,
                    gender=facts.gender,
                    group=facts.group,
                    duration_s=facts.duration_s,
                    warnings=None if codes is None else list(codes),
                    clean=said,
                    attacked=[found[number][index] for number in sorted(found)],
                    minimum=[strengths[index] for strengths in smallest.values()],
                )
            )
        return sorted(rows, key=lambda row: row.index)

    def _within_memory(self, work: Callable[[], T]) -> T:
        """Do it; when the memory does not suffice, once more with batches of half the size."""
        before = self._audit.batch
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or self._halved or before == 1:
                raise
        self._halved = True
        self._audit.batch = before // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._warn(
            f"The memory did not suffice for batches of {before} clips: the audit went on with"
            f" {self._audit.batch}."
        )
        return work()


def _spent(outcomes: Iterable[AttackedPrediction | SmallestStrength]) -> Cost:
    each = (Cost(**one.cost.model_dump()) for one in outcomes)
    return sum(each, start=Cost())
