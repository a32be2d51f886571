"""How well does a model withstand attacks? Runs the grid, checks the budget, counts, adds up.

The attack proposes, the audit decides: what an attack returns is projected back to its budget,
scored anew on the network in eval mode, and only then called a success. Success is counted over the
clips that were right before the attack (PAPER: a model that is wrong anyway cannot be broken).
A clip without a label is attacked at the model's own prediction: a success is a changed prediction.

An attack that had nothing to go by is no evidence of robustness: where a softmax saturates, the
gradient is exactly zero and the attack stays where it is. Such clips are counted (compare Athalye
et al., "Obfuscated Gradients Give a False Sense of Security", ICML 2018). A model whose scores are
not numbers is not audited at all.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, get_args

import torch
from torch import Tensor, nn

from models import metrics
from models.attacks import ATTACKS, AttackLabels, frozen
from models.corpus.dataset import Dataset
from models.features import HOP, WINDOW, LogMel, Standardizer, tile
from models.playback import fold, play, snr_db
from models.precision import full_float32
from models.serving import scorer

MOST_CONFUSED: Final = 64
"""Classes of which a confusion matrix is made: with a thousand it has a million cells a point."""
NO_LABEL: Final = -1
"""The label of a clip whose emotion is not known."""


class AuditError(ValueError):
    """A model that cannot be audited.

    Attributes:
        code: stable name of the fault, for programs.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Attack:
    """One attack at several strengths.

    Attributes:
        type: a key of ``models.attacks.ATTACKS``.
        epsilons: strengths, standard deviations of a band.
        labels: what is attacked: the true label, or the model's own clean prediction.
        clip: eta of Eq. 2; None leaves the change as it is.

    Raises:
        ValueError: the type is not registered, there is no strength, a strength is negative or not
            finite, the labels are others, or the clip is not a finite number above 0 (with 0, every
            model would withstand).
    """

    epsilons: tuple[float, ...]
    type: str = "fgsm"
    labels: AttackLabels = "true"
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.type not in ATTACKS:
            raise ValueError(f"unknown attack {self.type!r}: choose one of {sorted(ATTACKS)}")
        if not self.epsilons:
            raise ValueError("epsilons is empty: give at least one strength")
        for epsilon in self.epsilons:
            if not (math.isfinite(epsilon) and epsilon >= 0):
                raise ValueError(f"epsilons hold {epsilon}: give finite numbers of at least 0")
        if self.labels not in get_args(AttackLabels):
            raise ValueError(
                f"labels is {self.labels!r}: choose one of {list(get_args(AttackLabels))}"
            )
        if self.clip is not None and not (math.isfinite(self.clip) and self.clip > 0):
            raise ValueError(f"clip is {self.clip}: give a finite number above 0, or None")

    def budget(self, epsilon: float) -> float:
        """The most that any value may have moved."""
        return epsilon if self.clip is None else min(epsilon, self.clip)


@dataclass(frozen=True)
class Point:
    """One point of the curve: an attack at one strength."""

    attack: Attack
    epsilon: float


def points(attacks: Sequence[Attack]) -> list[Point]:
    """All attacks at all their strengths, in the order in which rows list their outcomes."""
    return [Point(attack, epsilon) for attack in attacks for epsilon in attack.epsilons]


@dataclass(frozen=True)
class Played:
    """A successful attack heard as sound: the prediction, and how loud the change is."""

    prediction: int
    snr_db: float


@dataclass(frozen=True)
class Outcome:
    """What the model says about a clip, clean or attacked.

    Attributes:
        prediction: class.
        scores: probabilities, one a class.
        played: of a successful attack on a clip whose sound is at hand, else None.
        no_gradient: the attack had nothing to go by: although it might have changed the clip, it
            changed nothing, or what it proposed was not finite.
    """

    prediction: int
    scores: tuple[float, ...]
    played: Played | None = None
    no_gradient: bool = False


@dataclass(frozen=True)
class Row:
    """One clip: its label (None if it has none), and what the model says before and after.

    Attributes:
        attacked: in the order of :func:`points`.
    """

    label: int | None
    clean: Outcome
    attacked: tuple[Outcome, ...]

    @property
    def truth(self) -> int:
        """The label, or the model's own clean prediction where there is none."""
        return self.clean.prediction if self.label is None else self.label

    def broken(self, number: int) -> bool | None:
        """Whether the attack of that number succeeded; None if the model was wrong before."""
        if self.clean.prediction != self.truth:
            return None
        return self.attacked[number].prediction != self.truth


Waveforms = Callable[[int], Tensor]
"""The samples of a clip of the data set by its index: (samples,) float32 at 16 kHz."""


@dataclass
class Audit:
    """A model, the clips and the attacks; :meth:`rows` does the work, batch by batch.

    Attributes:
        net: on any device, any mode; left as it was, and not to be trained while the audit lives.
        standardizer: its z-score, on the same device.
        data: clips in the order of the rows; ``NO_LABEL`` where the emotion is not known.
        frames: window of the model.
        waveforms: where the clips' sound comes from; without it nothing is played.
    """

    net: nn.Module
    standardizer: Standardizer
    data: Dataset
    attacks: Sequence[Attack]
    frames: int
    batch_size: int = 32
    waveforms: Waveforms | None = None
    _front_end: LogMel = field(default_factory=LogMel, repr=False)
    _scorer: nn.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        device = self.standardizer.mean.device
        self._front_end.to(device)
        # Six passes of eight are scores: they come from the network as it is served.
        self._scorer = scorer(self.net, device, self.frames)

    def rows(self, start: int = 0) -> Iterator[list[Row]]:
        """Score the clips from ``start`` on, a list of rows for each batch.

        Raises:
            ValueError: ``start`` is not the beginning of a batch. A clip's scores may depend in
                their last bits on the batch that it is in, so an audit goes on batch by batch.
            AuditError: the model's scores are not finite (code ``non_finite_scores``).
        """
        if start % self.batch_size and start < len(self.data):
            raise ValueError(f"start is {start}: give a multiple of batch_size {self.batch_size}")
        for first in range(start, len(self.data), self.batch_size):
            yield self.batch(torch.arange(first, min(first + self.batch_size, len(self.data))))

    @full_float32()
    def batch(self, clips: Tensor) -> list[Row]:
        """The rows of these clips, (batch,) indices.

        Raises:
            AuditError: see :meth:`rows`.
        """
        x, y = self.inputs(clips)
        clean = self._probabilities(x)
        before = clean.argmax(dim=1)
        attacked = [
            self._outcomes(clips, x, x_adv, before, y, lost)
            for attack in self.attacks
            for x_adv, lost in zip(*self._attacked(attack, x, y, before), strict=True)
        ]
        cleans = _outcomes(clean)
        labels = [None if label == NO_LABEL else label for label in y.tolist()]
        return [
            Row(labels[row], cleans[row], tuple(point[row] for point in attacked))
            for row in range(len(clips))
        ]

    def inputs(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees, (batch, frames, mels) z-scored, and the labels (batch,)."""
        device = self.standardizer.mean.device
        features, y = self.data.batch(clips.to(self.data.offsets.device), self.frames)
        x: Tensor = self.standardizer(features.to(device))
        return x, y.to(device)

    @full_float32()
    def adversarial(
        self, attack: Attack, x: Tensor, y: Tensor, prediction: Tensor | None = None
    ) -> Tensor:
        """The attack on a batch, within its budget: (epsilons, batch, frames, mels).

        One backward pass serves all strengths of FGSM.

        Raises:
            AuditError: the prediction is not given, and the model's scores are not finite.
        """
        if prediction is None:
            prediction = self._probabilities(x).argmax(dim=1)
        return self._attacked(attack, x, y, prediction)[0]

    def _attacked(
        self, attack: Attack, x: Tensor, y: Tensor, prediction: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """:meth:`adversarial`, and for each strength which clips gave no gradient, (batch,)."""
        own = torch.full_like(y, attack.labels == "predicted", dtype=torch.bool)
        target = torch.where(own | (y == NO_LABEL), prediction, y)
        proposed = ATTACKS[attack.type](self.net, x, target, attack.epsilons, attack.clip)
        lost = []
        for x_adv, epsilon in zip(proposed, attack.epsilons, strict=True):
            budget = attack.budget(epsilon)
            lost.append(without_direction(x, x_adv, budget))
            x_adv.copy_(project(x, x_adv, budget))
        return proposed, lost

    def played(self, clip: int, change: Tensor) -> tuple[Tensor, Tensor]:
        """The sound of a clip, without and with a change of what the network sees.

        The clip's own length, or as much of it as the network sees; never tiled, so that without
        a change the network sees in it exactly what it saw.

        Args:
            clip: its index.
            change: (frames, mels), z-scored.

        Returns:
            Two waveforms, (samples,).
        """
        if self.waveforms is None:
            raise ValueError("the audit was given no waveforms: there is nothing to play")
        waveform = self.waveforms(clip).to(change.device)
        frames = min(1 + (len(waveform) - WINDOW) // HOP, self.frames)
        if frames == self.frames:
            waveform = waveform[: (frames - 1) * HOP + WINDOW]
        log_change = fold(change * self.standardizer.std, frames)
        return waveform, play(self._front_end, waveform, log_change)

    def _outcomes(
        self, clips: Tensor, x: Tensor, x_adv: Tensor, before: Tensor, y: Tensor, lost: Tensor
    ) -> list[Outcome]:
        scores = self._probabilities(x_adv)
        truth = torch.where(y == NO_LABEL, before, y)
        broken = (before == truth) & (scores.argmax(dim=1) != truth)
        played: dict[int, Played] = {}
        if self.waveforms is not None and bool(broken.any()):
            rows = broken.nonzero().flatten().tolist()
            played = self._play(clips, x_adv - x, rows)
        return _outcomes(scores, played, lost)

    def _play(self, clips: Tensor, change: Tensor, rows: Sequence[int]) -> dict[int, Played]:
        """Of these rows of a batch: what the model says of them as sound."""
        sounds = [self.played(int(clips[row]), change[row]) for row in rows]
        x = torch.stack([tile(self._front_end(sound), self.frames) for _, sound in sounds])
        heard = self._probabilities(self.standardizer(x)).argmax(dim=1).tolist()
        return {
            row: Played(label, float(snr_db(clean, sound)))
            for row, label, (clean, sound) in zip(rows, heard, sounds, strict=True)
        }

    def _probabilities(self, x: Tensor) -> Tensor:
        with torch.no_grad(), frozen(self._scorer):
            logits = self._scorer(x).float()
        overflown = int((~torch.isfinite(logits)).any(dim=1).sum())
        if overflown:  # argmax takes NaN for the largest: it would count as an answer
            raise AuditError(
                "non_finite_scores",
                f"The model gives NaN or infinity for {overflown} of {len(x)} clips that were"
                " scored together: its weights overflow, and nothing can be said of how robust it"
                " is. Train it anew with a lower learning rate, or scale its weights down.",
            )
        return torch.softmax(logits, dim=1)


def _outcomes(
    scores: Tensor, played: dict[int, Played] | None = None, lost: Tensor | None = None
) -> list[Outcome]:
    predictions = scores.argmax(dim=1).tolist()
    without = [False] * len(predictions) if lost is None else lost.tolist()
    return [
        Outcome(prediction, tuple(row), (played or {}).get(number), without[number])
        for number, (prediction, row) in enumerate(zip(predictions, scores.tolist(), strict=True))
    ]


def without_direction(x: Tensor, x_adv: Tensor, budget: float) -> Tensor:
    """For which clips an attack had nothing to go by.

    Args:
        x, x_adv: clean input and what the attack proposes, (batch, ...).
        budget: the most that any value might have moved.

    Returns:
        (batch,), bool: nothing has moved although a move by the budget would be seen (it is
        neither zero nor lost in rounding), or some value of the proposal is not finite.
    """
    still = (x_adv == x).flatten(1).all(dim=1) & (x + budget != x).flatten(1).any(dim=1)
    return still | ~torch.isfinite(x_adv).flatten(1).all(dim=1)


def project(x: Tensor, x_adv: Tensor, budget: float) -> Tensor:
    """The nearest point within ``budget`` of ``x`` in every value, whatever an attack returned.

    What is not a number moves nothing, an infinity moves by the whole budget. The budget holds up
    to the rounding of a float of the size of ``x``.
    """
    change = torch.nan_to_num(x_adv - x, nan=0.0, posinf=budget, neginf=-budget)
    return x + change.clamp(-budget, budget)


def summarize(
    rows: Sequence[Row], labels: Sequence[str], attacks: Sequence[Attack]
) -> dict[str, Any]:
    """Add the rows up: the result of an audit, in JSON's types.

    Clips without a label enter ``unlabelled`` alone (``flip_rate``: the share whose prediction the
    attack changed); if no clip has one, UAR, accuracy, recalls and confusion are None, and
    ``success_rate`` and ``counts`` take the clean prediction for the truth.

    Args:
        rows: of all clips.
        labels: names of the classes, in the order of the scores.
        attacks: as in the audit.

    Returns:
        ``{n, labels, clean: {uar, accuracy, recall, confusion}, curve: [...]}``; confusion has a
        row for each true and a column for each predicted class, and is None for more than 64. A
        point's ``no_gradient`` counts, of all ``n`` clips, those on which the attack had nothing to
        go by: so many may be weaker than the success rate says.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise ValueError("an audit of no clips has no result: score at least one")
    clean = [row.clean.prediction for row in rows]
    return {
        "n": len(rows),
        "n_unlabelled": sum(row.label is None for row in rows),
        "labels": list(labels),
        "clean": _quality(rows, clean, labels),
        "curve": [
            _point(rows, number, point, labels) for number, point in enumerate(points(attacks))
        ],
    }


def _quality(rows: Sequence[Row], predictions: list[int], labels: Sequence[str]) -> dict[str, Any]:
    """UAR, accuracy, recalls and confusion over the labelled clips."""
    pairs = [
        (row.label, guess)
        for row, guess in zip(rows, predictions, strict=True)
        if row.label is not None
    ]
    if not pairs:
        return {"uar": None, "accuracy": None, "recall": None, "confusion": None}
    y, guesses = torch.tensor(pairs).T
    return {
        "uar": metrics.uar(y, guesses, len(labels)),
        "accuracy": float((y == guesses).double().mean()),
        "recall": dict(zip(labels, metrics.recalls(y, guesses, len(labels)), strict=True)),
        "confusion": metrics.confusion(y, guesses, len(labels)).tolist()
        if len(labels) <= MOST_CONFUSED
        else None,
    }


def _point(rows: Sequence[Row], number: int, point: Point, labels: Sequence[str]) -> dict[str, Any]:
    outcomes = [row.attacked[number] for row in rows]
    counted = [row for row in rows if row.label is not None] or rows
    moves = metrics.transitions(
        torch.tensor([row.truth for row in counted]),
        torch.tensor([row.clean.prediction for row in counted]),
        torch.tensor([row.attacked[number].prediction for row in counted]),
    )
    return {
        "attack": point.attack.type,
        "labels": point.attack.labels,
        "clip": point.attack.clip,
        "epsilon": point.epsilon,
        **_quality(rows, [outcome.prediction for outcome in outcomes], labels),
        "success_rate": moves.success_rate,
        "counts": {
            "right_wrong": moves.right_wrong,
            "right_right": moves.right_right,
            "wrong_right": moves.wrong_right,
            "wrong_wrong": moves.wrong_wrong,
        },
        "no_gradient": sum(outcome.no_gradient for outcome in outcomes),
        "unlabelled": _flips([row for row in rows if row.label is None], number),
        **_as_audio([(row, row.attacked[number]) for row in counted]),
    }


def _flips(rows: Sequence[Row], number: int) -> dict[str, Any] | None:
    """How many predictions of clips without a label the attack changed."""
    if not rows:
        return None
    flipped = sum(row.attacked[number].prediction != row.clean.prediction for row in rows)
    return {"n": len(rows), "flipped": flipped, "flip_rate": flipped / len(rows)}


def _as_audio(outcomes: Sequence[tuple[Row, Outcome]]) -> dict[str, Any]:
    """Of the successful attacks that were played, how many survive, and their median SNR."""
    heard = [(row, after.played) for row, after in outcomes if after.played is not None]
    if not heard:
        return {"survives_as_audio": None, "played": 0, "snr_db": None}
    survivors = sum(played.prediction != row.truth for row, played in heard)
    return {
        "survives_as_audio": survivors / len(heard),
        "played": len(heard),
        "snr_db": median(played.snr_db for _, played in heard),
    }


def robust_uar(
    net: nn.Module,
    standardizer: Standardizer,
    data: Dataset,
    epsilons: Sequence[float],
    *,
    frames: int,
    batch_size: int = 32,
    labels: AttackLabels = "true",
    on_batch: Callable[[int], None] | None = None,
) -> tuple[float, dict[float, float]]:
    """UAR of a labelled data set, clean and under FGSM: what a training reports.

    Args:
        net: on any device, any mode; left as it was.
        standardizer: its z-score, on that device.
        data: labelled clips.
        epsilons: strengths; none gives the clean UAR alone.
        frames: window of the model.
        labels: what FGSM moves away from.
        on_batch: told how many clips are scored, after each batch; what it raises ends this.

    Returns:
        The clean UAR and the UAR at each strength.

    Raises:
        ValueError: there is no clip, or a clip has no label.
        AuditError: the model's scores are not finite (code ``non_finite_scores``).
    """
    if not len(data) or bool((data.labels == NO_LABEL).any()):
        raise ValueError("UAR needs labelled clips, and at least one")
    attacks = [Attack(tuple(epsilons), labels=labels)] if epsilons else []
    audit = Audit(net, standardizer, data, attacks, frames, batch_size)
    rows: list[Row] = []
    for batch in audit.rows():
        rows += batch
        if on_batch is not None:
            on_batch(len(rows))
    n_classes = len(rows[0].clean.scores)
    result = summarize(rows, [str(label) for label in range(n_classes)], attacks)
    return result["clean"]["uar"], {point["epsilon"]: point["uar"] for point in result["curve"]}
