"""Runs a bundle's audit again on the CPU, clip by clip beside what its rows say."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

import app
from app.replay.clips import ReplayClips
from app.replay.outcome import Outcome
from app.replay.reading import OpenBundle, Unusable
from app.replay.recordings import Read, recordings
from app.replay.victims import victims
from models.audit import Audit, AuditError, AuditRow, ClipFacts, ClipPrediction, points
from models.audit.evidence import AttackedPrediction, SmallestStrength
from models.audit.forecast import total
from models.audit.minimum import smallest_strengths
from models.victims import Cost, OnPass, SpectrogramVictim


class Replay:
    """A bundle, ready to be run again.

    Args:
        bundle: that was opened.
        models: folders of models that are not in it.

    Raises:
        Unusable: a model is missing, rows and request do not fit together, or the audit took
            noises of a corpus, which no bundle holds.
    """

    def __init__(self, bundle: OpenBundle, models: Sequence[Path]) -> None:
        self._bundle = bundle
        self._victims = victims(bundle, models)
        self.attacks = bundle.request.perturbations
        missing = {name for one in bundle.request.attacks for name in one.sources}
        missing -= self._victims.keys()
        if missing:
            raise Unusable(f"materials.json lacks the model {min(missing)!a}, of an attack.")
        noises = {name for one in bundle.request.corruptions for name in one.sources}
        if noises:
            raise Unusable(
                f"The audit took noises of the corpus {min(noises)!a}, which no bundle holds: it"
                " cannot be run again from one."
            )
        self._facts = _facts(bundle, self._victim)

    @property
    def _victim(self) -> SpectrogramVictim:
        return self._victims[self._bundle.materials.models[0].id]

    @property
    def clips(self) -> int:
        """How many are scored again."""
        return len(self._facts)

    @property
    def cost(self) -> Cost:
        """The most that it takes, in passes through the model."""
        return total(self.attacks, self.clips, len(self._victim.labels))

    def run(self, corpus: Path | None, on_pass: OnPass) -> Outcome:
        """Do it.

        Args:
            corpus: where the recordings are; None for those in the bundle.
            on_pass: told of each pass before it is made.

        Raises:
            Unusable: recordings are missing, or the audit cannot be run.
        """
        # A sum of floats depends on how many threads share it.
        before = torch.get_num_threads()
        torch.set_num_threads(_threads(self._bundle))
        try:
            with recordings(self._bundle, corpus) as read:
                return self._run(self._audit(read, on_pass))
        # Of a bundle that somebody made up; torch says RuntimeError of want of memory, too.
        except (AuditError, ValueError, LookupError, RuntimeError, MemoryError) as error:
            raise Unusable(f"The audit cannot be run: {error}") from error
        finally:
            torch.set_num_threads(before)

    def _audit(self, read: Read, on_pass: OnPass) -> Audit:
        return Audit(
            self._victim,
            ReplayClips(self._facts, read),
            self.attacks,
            seed=self._bundle.request.seed,
            batch=self._bundle.materials.batch,
            others=self._victims,
            on_pass=on_pass,
        )

    def _run(self, audit: Audit) -> Outcome:
        outcome = Outcome(self._victim.labels, self.attacks)
        outcome.versions = _versions(self._bundle)
        for chunk in _chunks(self._bundle.rows(), self._bundle.materials.chunk):
            _compare(audit, chunk, outcome)
        outcome.check_report(self._bundle.report.result)
        return outcome


def _compare(audit: Audit, rows: Sequence[AuditRow], outcome: Outcome) -> None:
    """Score a chunk as a worker does, and hold each clip against its row."""
    clean = audit.clean([row.index for row in rows])
    found: list[dict[int, AttackedPrediction]] = []
    smallest: list[dict[int, SmallestStrength]] = []
    for number, attack in enumerate(audit.attacks):
        strengths = [one.strength for one in points(audit.attacks) if one.attack == number]
        own = [point.outcomes for point in audit.points(number, strengths, clean)]
        found += own
        if attack.minimum:
            attacked = {index: [outcomes[index] for outcomes in own] for index in clean}
            smallest.append(smallest_strengths(audit, number, clean, attacked))
    for row in rows:
        outcome.add(
            row,
            clean[row.index],
            [outcomes[row.index] for outcomes in found],
            [one[row.index] for one in smallest],
        )


def _chunks(rows: Iterator[AuditRow], chunk: int) -> Iterator[list[AuditRow]]:
    """The clips that were scored together. A shard is of whole chunks."""
    for _, together in groupby(rows, key=lambda row: row.index // chunk):
        yield list(together)


def _facts(bundle: OpenBundle, victim: SpectrogramVictim) -> dict[int, ClipFacts]:
    """What is known of the clips, from rows that fit request, model and materials.

    Raises:
        Unusable: they do not.
    """
    indices = {clip.index for clip in bundle.materials.clips}
    places = {(one.attack, one.strength) for one in points(bundle.request.perturbations)}
    labels = set(victim.labels)
    found: dict[int, ClipFacts] = {}
    for row in bundle.rows():
        said: list[ClipPrediction] = [row.clean, *row.attacked]
        if (
            row.index not in indices
            or row.index in found
            or {(one.attack, one.strength) for one in row.attacked} - places
            or any(one.label not in labels or set(one.scores) != labels for one in said)
            or (row.label is not None and row.label not in labels)
            or any(one.attack >= len(bundle.request.perturbations) for one in row.minimum)
        ):
            raise Unusable(
                f"rows.jsonl: the row of clip {row.index} does not fit the request, the model or"
                " materials.json."
            )
        found[row.index] = ClipFacts(
            row.clip, row.label, row.speaker, row.gender, row.duration_s, row.group
        )
    if not found:
        raise Unusable("rows.jsonl has no row: there is nothing to replay.")
    return found


def _threads(bundle: OpenBundle) -> int:
    """As many as the audit had, but no more than there are cores to run them."""
    return max(1, min(bundle.report.environment.threads, os.cpu_count() or 1))


def _versions(bundle: OpenBundle) -> dict[str, tuple[str, str]]:
    then: Mapping[str, object] = bundle.report.environment.model_dump()
    now = {
        "serval": app.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": "cpu",
        "threads": str(_threads(bundle)),
    }
    return {name: (str(then[name]), here) for name, here in now.items() if str(then[name]) != here}
