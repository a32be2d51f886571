"""What a detector is worth: its threshold, and how well it tells attacked clips from clean ones.

Clips are scored as an audit scores them: whole clips, waveforms as 16-bit files, all windows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from models.adversarial_score import clip_scores
from models.attacks import Attack, parse
from models.audit import Audit
from models.audit.figure import Figure, Figures, share
from models.audit.inputs import Batch, batches
from models.audit.intervals import Bools, Floats, Ints
from models.audit.roc import roc_area
from models.audit.table import Names
from models.budget import within_budget
from models.detectors.evading import STEPS, WEIGHTS, Evasion
from models.detectors.plan import DetectorRecipe
from models.threats import Domain, ThreatModel
from models.victims import Cost

FALSE_ALARMS: Final = 0.01
"""The share of clean clips that a threshold may take for attacked."""
UNSEEN: Final = (
    {"type": "fgsm"},
    {"type": "pgd", "steps": 10},
    {"type": "mim", "steps": 10},
    {"type": "apgd", "steps": 10},
)
"""Attacks on log-mels that a detector is examined with, if it has not learnt them."""
SNR_DB: Final = (50.0, 40.0, 30.0)
"""Of waveform attacks."""
EVADING: Final = "evading"

Kind = Literal["learnt", "unseen", "control", "waveform", "waveform_control", "evading"]


class DetectionRow(Figures):
    """The detector under one attack at one strength. All figures are of the same clips."""

    kind: Kind = Field(
        description="learnt: the training's own attack. unseen: one that it was not trained on."
        " control: noise of the same size, without an adversary. waveform, waveform_control: the"
        " same of recordings, played through the front end. evading: an attack that knows the"
        " detector and follows the gradients of both."
    )
    attack: str = Field(examples=["pgd"])
    parameters: dict[str, Any]
    domain: Domain
    norm: str = Field(examples=["linf"])
    strength: float = Field(examples=[0.02])
    unit: str = Field(examples=["sigma"])
    n: int = Field(description="Clips, each once clean and once attacked.", examples=[256])
    auc: Figure = Field(description="Area under the ROC curve of the score.")
    true_positive_rate: Figure = Field(
        description="Share of the attacked clips with a score above the threshold."
    )
    success_rate: Figure = Field(
        description="Share of the clips that were right before on which the model is wrong now."
    )
    unnoticed_rate: Figure = Field(
        description="Of the same clips, those on which the model is wrong and the detector silent."
    )


class DetectorMetrics(Figures):
    """What a detector is worth."""

    threshold: float = Field(
        description="Chosen on clean clips of `dev`: a score above it counts as attacked."
    )
    false_alarm_rate: dict[Literal["dev", "test"], Figure] = Field(
        description="Share of clean clips with a score above the threshold; at most 1 % on `dev`,"
        " where it was chosen."
    )
    rows: list[DetectionRow]


def threshold_of(scores: Sequence[float]) -> float:
    """The lowest score that at most 1 % of these clean clips exceed."""
    ordered = sorted(scores, reverse=True)
    return ordered[math.floor(FALSE_ALARMS * len(ordered))]


@dataclass(frozen=True)
class Probe:
    """An attack, and the strengths at which a detector is examined with it.

    Attributes:
        attack: None for the one that knows the detector.
    """

    kind: Kind
    threat: ThreatModel
    strengths: tuple[float, ...]
    attack: Attack | None

    @property
    def name(self) -> str:
        """Of the attack."""
        return EVADING if self.attack is None else self.attack.type

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the attack, its strengths left out."""
        if self.attack is None:
            return {"steps": STEPS, "weights": list(WEIGHTS)}
        return self.attack.parameters()

    def cost(self, n_classes: int) -> Cost:
        """The most passes through the model that a clip takes at all strengths, the scoring of the
        answers included."""
        if self.attack is None:
            looks = len(WEIGHTS) * (STEPS + 1)
            made = Cost(forwards=looks, backwards=looks)
        else:
            made = self.attack.cost(n_classes)
        return (made + Cost(forwards=1)) * len(self.strengths)


def examination_cost(recipe: DetectorRecipe, labels: Sequence[str], *, audible: bool) -> Cost:
    """The most passes through the model that the examination of a detector takes for a clip.

    Args:
        labels: of the model.
        audible: whether recordings are at hand.
    """
    wanted = probes(recipe, labels, audible=audible)
    return sum((one.cost(len(labels)) for one in wanted), start=Cost(forwards=1))


def probes(recipe: DetectorRecipe, labels: Sequence[str], *, audible: bool) -> list[Probe]:
    """What a detector is examined with.

    Args:
        labels: of the model.
        audible: whether recordings are at hand.
    """
    threat = recipe.attack.threat
    strengths = tuple(factor * recipe.epsilon for factor in (0.5, 1.0, 2.0))
    found = [Probe("learnt", threat, strengths, recipe.attack)]
    for fields in UNSEEN:
        attack = parse({**fields, "norm": threat.norm})
        known = attack.identity() == recipe.attack.identity()
        if not known and attack.unsuited(labels) is None:
            found.append(Probe("unseen", threat, strengths, attack))
    noise = parse({"type": "noise", "norm": threat.norm})
    found.append(Probe("control", threat, strengths, noise))
    found.append(Probe("evading", threat, strengths, None))
    if audible:
        sound = ThreatModel("waveform", "l2")
        pgd = parse({"type": "pgd", "domain": "waveform", "norm": "l2", "steps": 10})
        hiss = parse({"type": "noise", "domain": "waveform", "norm": "l2"})
        found.append(Probe("waveform", sound, SNR_DB, pgd))
        found.append(Probe("waveform_control", sound, SNR_DB, hiss))
    return found


class Examination:
    """A detector under probes, on the clips of an audit of its model.

    The clips go through in pieces, and of each piece nothing is kept but scores and predictions:
    there may be more clips than the memory holds.

    Args:
        audit: the model and labelled clips; of its attacks none is asked.
        detector: of the model, as served, on its device.
        threshold: of its score.
    """

    def __init__(self, audit: Audit, detector: nn.Module, threshold: float) -> None:
        self._audit = audit
        self._detector = detector
        self._threshold = threshold
        self._clean = {n: said for piece in pieces(audit) for n, said in audit.clean(piece).items()}
        self._clean_scores: dict[Domain, dict[int, float]] = {}
        self._speaker = speakers(audit)

    def rows(self, probe: Probe) -> Iterator[DetectionRow]:
        """The figures at each strength of a probe."""
        for strength, scores, labels in self._attacked(probe):
            clean = self._of_clean(probe.threat.domain)
            everything = np.ones(len(clean), dtype=bool)
            right, broken = self._outcomes(labels)
            noticed = scores > self._threshold
            yield DetectionRow(
                kind=probe.kind,
                attack=probe.name,
                parameters=probe.parameters,
                **probe.threat.to_dict(),
                strength=strength,
                n=len(clean),
                auc=roc_area(-clean, -scores, self._speaker),
                true_positive_rate=share(noticed, everything, self._speaker),
                success_rate=share(broken, right, self._speaker),
                unnoticed_rate=share(broken & ~noticed, right, self._speaker),
            )

    def _outcomes(self, labels: Mapping[int, str]) -> tuple[Bools, Bools]:
        """Which clips the model was right on before, and which it is wrong on now."""
        truth = [self._audit.truth(n, said) for n, said in self._clean.items()]
        right = [said.label == own for said, own in zip(self._clean.values(), truth, strict=True)]
        wrong = [labels[n] != own for n, own in zip(self._clean, truth, strict=True)]
        return np.array(right), np.array(wrong)

    def _of_clean(self, domain: Domain) -> Floats:
        """Scores of the clips as they are, in the view of an attack."""
        if domain not in self._clean_scores:
            self._clean_scores[domain] = scores_of(self._audit, self._detector, domain)
        return self._in_order(self._clean_scores[domain])

    def _attacked(self, probe: Probe) -> Iterator[tuple[float, Floats, dict[int, str]]]:
        """At each strength the score and the prediction of every clip."""
        if probe.attack is None:
            yield from self._evading(probe)
            return
        audit, domain = self._audit, probe.threat.domain
        audit.attacks = [probe.attack]
        for strength in probe.strengths:
            scores, labels = dict[int, float](), dict[int, str]()
            for piece in pieces(audit):
                clean = {index: self._clean[index] for index in piece}
                (point,) = audit.points(0, [strength], clean)
                for index, x in point.inputs.items():
                    (scores[index],) = self._scores(x[None].to(audit.victim.device), domain)
                labels |= {index: said.label for index, said in point.outcomes.items()}
            yield strength, self._in_order(scores), labels

    def _evading(self, probe: Probe) -> Iterator[tuple[float, Floats, dict[int, str]]]:
        audit, threat = self._audit, probe.threat
        attack = Evasion(
            audit.victim, self._detector, _logit(self._threshold), threat, audit.on_pass
        )
        view = audit.victim.view(threat.domain)
        names = audit.victim.labels
        for strength in probe.strengths:
            scores, labels = dict[int, float](), dict[int, str]()
            for batch in in_pieces(audit, threat.domain):
                y = torch.tensor(
                    [names.index(audit.truth(n, self._clean[n])) for n in batch.indices]
                ).to(batch.x.device)
                radius = threat.radius(batch.x, strength)
                found = attack.run(batch.x, y, radius)
                x_adv = within_budget(threat, batch.x, found, radius)
                scores.update(zip(batch.indices, self._scores(x_adv, threat.domain), strict=True))
                predicted = view.scores(x_adv).argmax(dim=1).tolist()
                labels.update(zip(batch.indices, (names[one] for one in predicted), strict=True))
            yield strength, self._in_order(scores), labels

    def _scores(self, x: Tensor, domain: Domain) -> list[float]:
        return clip_scores(self._detector, self._audit.victim, x, domain)

    def _in_order(self, found: Mapping[int, float]) -> Floats:
        return np.array([found[index] for index in self._clean], dtype=np.float64)


def pieces(audit: Audit) -> Iterator[range]:
    """The clips of an audit, a batch of them at a time."""
    clips = len(audit.clips)
    for first in range(0, clips, audit.batch):
        yield range(first, min(first + audit.batch, clips))


def in_pieces(audit: Audit, domain: Domain) -> Iterator[Batch]:
    """The clips as the model's view ``domain`` takes them; no more than a piece waits for others of
    its shape."""
    for piece in pieces(audit):
        yield from batches(audit.victim, audit.clips, domain, piece, audit.batch)


def scores_of(audit: Audit, detector: nn.Module, domain: Domain) -> dict[int, float]:
    """The scores of an audit's clips as they are, in the view of an attack, by their index."""
    found: dict[int, float] = {}
    for batch in in_pieces(audit, domain):
        scores = clip_scores(detector, audit.victim, batch.x, domain)
        found.update(zip(batch.indices, scores, strict=True))
    return found


def clean_scores(audit: Audit, detector: nn.Module) -> list[float]:
    """The scores of an audit's clips as they are, in their order."""
    found = scores_of(audit, detector, "features")
    return [found[index] for index in range(len(audit.clips))]


def false_alarm_rate(audit: Audit, detector: nn.Module, threshold: float) -> Figure:
    """The share of an audit's clips that are taken for attacked as they are."""
    alarms = np.array(clean_scores(audit, detector)) > threshold
    return share(alarms, np.ones(len(alarms), dtype=bool), speakers(audit))


def speakers(audit: Audit) -> Ints:
    """Of each clip a number for its speaker, (clips,); -1 if it is not known."""
    names = Names()
    each = (audit.clips.facts(index).speaker for index in range(len(audit.clips)))
    return np.array([names.number(speaker) for speaker in each], dtype=np.int64)


def _logit(score: float) -> float:
    """Of a score in [0, 1]; infinite at its ends."""
    return float(torch.tensor(score, dtype=torch.float64).logit())
