"""Runs attacks on a model, clip by clip: the attack proposes, the runner decides.

A corruption has no adversary: the recording is changed, and scored as any other is.

What an attack returns is projected back to its ball, written to a 16-bit file and read again if it
is a waveform, scored anew, and only then called a success. Success is counted over the clips that
were right before the attack: a model that is wrong anyway cannot be broken. A clip without a label
is attacked at the model's own prediction: a success is a changed prediction.

An attack that had nothing to go by is no evidence of robustness: where a softmax saturates, the
gradient is exactly zero and the attack stays where it is. Such clips are counted (compare Athalye
et al., "Obfuscated Gradients Give a False Sense of Security", ICML 2018). A model whose scores are
not numbers is not audited at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.attacks import Attack, TargetLabel
from models.audit.clips import Clips
from models.audit.corrupted import CorruptedClips
from models.audit.detecting import ModelDetector
from models.audit.distortion import distortions
from models.audit.errors import AuditError
from models.audit.evidence import (
    DIGITS,
    AttackedPrediction,
    ClipPrediction,
    CostSpent,
    Detection,
    Distortion,
    Resynthesised,
)
from models.audit.inputs import Batch, batches
from models.audit.perturbation import Perturbation
from models.audit.sound import played
from models.budget import within_budget
from models.corruptions import Corruption
from models.playback import snr_db
from models.rng import Rng
from models.threats import Domain, ThreatModel
from models.victims import Cost, Meter, OnPass, SpectrogramVictim, View, metered


@dataclass(frozen=True)
class ScoredPoint:
    """A chunk under one attack at one strength.

    Attributes:
        outcomes: by the clip's index.
        inputs: what was scored, by the clip's index, on the CPU: (n, mels) z-scored or (samples,).
    """

    attack: int
    strength: float
    outcomes: dict[int, AttackedPrediction]
    inputs: dict[int, Tensor]


@dataclass
class Audit:
    """A model, clips and attacks; each method works on a chunk of the clips.

    Attributes:
        victim: the model.
        clips: in the order of the rows.
        attacks: in the order of the request, corruptions behind them.
        seed: of every random draw, together with the clip.
        batch: windows of the model in a batch.
        others: models on which transfer attacks are crafted, by what the request calls them.
        on_pass: told of each pass before it is made; what it raises ends the work between two.
        detector: of the model, where it is asked too.
    """

    victim: SpectrogramVictim
    clips: Clips
    attacks: Sequence[Perturbation]
    seed: int = 0
    batch: int = 32
    others: Mapping[str, SpectrogramVictim] = field(default_factory=dict)
    on_pass: OnPass | None = None
    detector: ModelDetector | None = None

    def clean(self, indices: Sequence[int]) -> dict[int, ClipPrediction]:
        """What the model says of these clips.

        Raises:
            AuditError: its scores are not finite (code ``non_finite_scores``).
        """
        view = self.victim.view("features")
        answers: dict[int, ClipPrediction] = {}
        for batch in batches(self.victim, self.clips, "features", indices, self.batch):
            logits = self._scored(view, batch.x)
            said = self._predictions(logits, batch.x, "features")
            answers.update(zip(batch.indices, said, strict=True))
        return answers

    def points(
        self, number: int, strengths: Sequence[float], clean: Mapping[int, ClipPrediction]
    ) -> Iterator[ScoredPoint]:
        """The clips of ``clean`` under one attack or corruption, strength by strength.

        Args:
            number: of the attack.
            strengths: of it, those that are wanted.

        Raises:
            AuditError: see :meth:`clean`; or the attack changes waveforms, and the recordings are
                not at hand (code ``no_recordings``).
            models.victims.BudgetExceeded, models.victims.AccessDenied: the attack cheats.
        """
        attack = self.attacks[number]
        if attack.domain == "waveform" and not self.clips.audible:
            raise AuditError(
                "no_recordings",
                f"Attack {number} changes waveforms, and the clips' recordings are not at hand."
                " Give them, or attack the log-mels (domain features).",
            )
        if isinstance(attack, Corruption):
            yield from self._corrupted(number, attack, strengths, clean)
            return
        # Batches go on by turns: a strength is told when all have reached it, and then let go.
        parts = [
            self._batch_points(number, attack, strengths, batch, clean)
            for batch in batches(self.victim, self.clips, attack.domain, list(clean), self.batch)
        ]
        for strength, *found in zip(strengths, *parts, strict=True):
            point = ScoredPoint(number, strength, {}, {})
            for part in found:
                point.outcomes.update(part.outcomes)
                point.inputs.update(part.inputs)
            yield point

    def _corrupted(
        self,
        number: int,
        corruption: Corruption,
        strengths: Sequence[float],
        clean: Mapping[int, ClipPrediction],
    ) -> Iterator[ScoredPoint]:
        """The clips as recordings that something has happened to, at each strength."""
        view = self.victim.view("features")
        for strength in strengths:
            clips = CorruptedClips(self.clips, corruption, strength, self.seed, self.victim)
            point = ScoredPoint(number, strength, {}, clips.made)
            for batch in batches(self.victim, clips, "features", list(clean), self.batch):
                after = self._predictions(self._scored(view, batch.x), batch.x, "features")
                for index, said in zip(batch.indices, after, strict=True):
                    point.outcomes[index] = AttackedPrediction(
                        attack=number,
                        strength=strength,
                        label=said.label,
                        scores=said.scores,
                        detection=said.detection,
                        success=self._changed(index, clean[index], said),
                        no_direction=False,
                        distortion=None,
                        cost=CostSpent.of(Cost(forwards=1)),
                    )
            yield point

    def _batch_points(
        self,
        number: int,
        attack: Attack,
        strengths: Sequence[float],
        batch: Batch,
        clean: Mapping[int, ClipPrediction],
    ) -> Iterator[ScoredPoint]:
        """A batch at each strength; clips that have the target label already are left alone."""
        goal = attack.goal
        there = [
            isinstance(goal, TargetLabel) and goal.label == self.truth(index, clean[index])
            for index in batch.indices
        ]
        alone, target = batch.where(there), batch.where([not one for one in there])
        unmoved = distortions(self.victim, attack.domain, alone.x, alone.x) if alone.indices else []
        crafted = (
            self._crafted(number, attack, strengths, target, clean) if target.indices else None
        )
        for strength in strengths:
            point = ScoredPoint(number, strength, {}, {}) if crafted is None else next(crafted)
            for index, x, none in zip(alone.indices, alone.x, unmoved, strict=True):
                point.outcomes[index] = self._left_alone(number, strength, clean[index], none)
                point.inputs[index] = x.cpu()
            yield point

    def _crafted(
        self,
        number: int,
        attack: Attack,
        strengths: Sequence[float],
        batch: Batch,
        clean: Mapping[int, ClipPrediction],
    ) -> Iterator[ScoredPoint]:
        x = batch.x
        view, meter, y = self.prepare(attack, batch, clean, len(strengths))
        radii = [attack.threat.radius(x, strength) for strength in strengths]
        # Copies: an attack that writes into what it is given moves no budget.
        given = (radius.clone() for radius in radii)
        crafted = attack.craft(view, x.clone(), y.clone(), given, Rng(self.seed, batch.indices))
        before = meter.costs()
        for strength, radius, proposal in zip(strengths, radii, crafted, strict=True):
            proposed = checked(attack, x, proposal.x)
            lost = without_direction(attack.threat, x, proposed, radius).tolist()
            silent = without_snr(attack.threat, radius).tolist()
            x_adv = within_budget(attack.threat, x, proposed, radius)
            logits = self._scored(self.victim.view(attack.domain), x_adv)
            after = self._predictions(logits, x_adv, attack.domain)
            success = [
                self.success(attack, index, clean[index], said)
                for index, said in zip(batch.indices, after, strict=True)
            ]
            distortion = distortions(self.victim, attack.domain, x, x_adv)
            audio = self._resynthesised(attack, batch, x_adv - x, success)
            spent, scored = meter.costs(), x_adv.cpu()
            point = ScoredPoint(number, strength, {}, {})
            for row, index in enumerate(batch.indices):
                point.outcomes[index] = AttackedPrediction(
                    attack=number,
                    strength=strength,
                    label=after[row].label,
                    scores=after[row].scores,
                    detection=after[row].detection,
                    success=success[row],
                    no_direction=lost[row],
                    distortion=distortion[row],
                    cost=_with_scoring(before[row], spent[row]),
                    audio=audio.get(row),
                    details={name: each[row] for name, each in proposal.details.items()}
                    | ({"digital_silence": True} if silent[row] else {}),
                )
                point.inputs[index] = scored[row]
            before = spent
            yield point

    def prepare(
        self, attack: Attack, batch: Batch, clean: Mapping[int, ClipPrediction], strengths: int
    ) -> tuple[View, Meter, Tensor]:
        """What an attack is given: a counted view, its meter, and the labels to attack (batch,)."""
        n_classes = len(self.victim.labels)
        limit = attack.cost(n_classes, strengths)
        meter = Meter(len(batch.indices), limit, self.on_pass)
        view = metered(
            self.victim.view(attack.domain, self.others), meter, attack.needs, len(batch.indices)
        )
        names = [
            clean[index].label if attack.labels == "predicted" else self.truth(index, clean[index])
            for index in batch.indices
        ]
        y = torch.tensor([self.victim.labels.index(name) for name in names])
        return view, meter, y.to(batch.x.device)

    def truth(self, index: int, clean: ClipPrediction) -> str:
        """The clip's label, or the model's own clean prediction where there is none."""
        label = self.clips.facts(index).label
        return clean.label if label is None else label

    def success(
        self, attack: Attack, index: int, clean: ClipPrediction, after: ClipPrediction
    ) -> bool | None:
        """Whether the attack reached its goal; None if the model was wrong before."""
        changed = self._changed(index, clean, after)
        if changed is not None and isinstance(attack.goal, TargetLabel):
            return after.label == attack.goal.label
        return changed

    def _changed(self, index: int, clean: ClipPrediction, after: ClipPrediction) -> bool | None:
        """Whether the model is wrong and was not; None if it was wrong before."""
        truth = self.truth(index, clean)
        return None if clean.label != truth else after.label != truth

    def broken(self, attack: Attack, x_adv: Tensor, y: Tensor) -> Tensor:
        """Whether these inputs reach the attack's goal on the model, (batch,) bool."""
        predicted = self._scored(self.victim.view(attack.domain), x_adv).argmax(dim=1)
        if isinstance(attack.goal, TargetLabel):
            return predicted == self.victim.labels.index(attack.goal.label)
        return predicted != y

    def _left_alone(
        self, number: int, strength: float, clean: ClipPrediction, distortion: Distortion
    ) -> AttackedPrediction:
        """A clip that has the target label already: there is nowhere to move it."""
        return AttackedPrediction(
            attack=number,
            strength=strength,
            label=clean.label,
            scores=clean.scores,
            detection=clean.detection,
            success=None,
            no_direction=False,
            distortion=distortion,
            cost=CostSpent.of(Cost()),
            details={"has_target_label": True},
        )

    def _scored(self, view: View, x: Tensor) -> Tensor:
        """Finite logits (batch, classes), counted as a pass of each clip."""
        if self.on_pass is not None:
            self.on_pass(len(x), 0)
        return finite(view.scores(x))

    def _predictions(self, logits: Tensor, x: Tensor, domain: Domain) -> list[ClipPrediction]:
        """What is said of ``x``, of the view ``domain``, for which these are the logits."""
        labels = self.victim.labels
        probabilities = logits.double().softmax(dim=1).tolist()
        detections: Sequence[Detection | None] = [None] * len(x)
        if self.detector is not None:
            detections = self.detector.detections(self.victim, x, domain)
        return [
            ClipPrediction(
                label=labels[best],
                scores={
                    name: round(score, DIGITS) for name, score in zip(labels, row, strict=True)
                },
                detection=detection,
            )
            for best, row, detection in zip(
                logits.argmax(dim=1).tolist(), probabilities, detections, strict=True
            )
        ]

    def _resynthesised(
        self, attack: Attack, batch: Batch, change: Tensor, success: Sequence[bool | None]
    ) -> dict[int, Resynthesised]:
        """The successful ones of a batch of log-mels as sound, by row; no pass of the attack."""
        rows = [row for row, broken in enumerate(success) if broken]
        if not rows or attack.domain != "features" or not self.clips.audible:
            return {}
        sounds = [
            played(self.victim, self.clips.waveform(batch.indices[row]), change[row])
            for row in rows
        ]
        with torch.no_grad():
            heard = [self.victim.features(self.victim.log_mel(sound)) for _, sound in sounds]
        # A sound that is heard anew may have a silent frame more or less.
        alike = len({len(clip) for clip in heard}) == 1
        parts = [torch.stack(heard)] if alike else [clip[None] for clip in heard]
        view = self.victim.view("features")
        logits = torch.cat([finite(view.scores(part)) for part in parts])
        return {
            row: Resynthesised(
                label=self.victim.labels[label], snr_db=round(float(snr_db(clean, sound)), 2)
            )
            for row, label, (clean, sound) in zip(
                rows, logits.argmax(dim=1).tolist(), sounds, strict=True
            )
        }


def checked(attack: Attack, x: Tensor, proposed: Tensor) -> Tensor:
    """A proposal, detached and of the type of ``x``.

    Raises:
        ValueError: its shape is another, in which it would be spread over all clips.
    """
    if proposed.shape != x.shape:
        raise ValueError(
            f"attack {attack.type!r} answers a tensor {tuple(proposed.shape)} for an input"
            f" {tuple(x.shape)}: give one of the input's shape"
        )
    return proposed.detach().to(x)


def _with_scoring(before: Cost, after: Cost) -> CostSpent:
    """What an attack has spent on a clip since, and the pass that scores its proposal."""
    return CostSpent(
        forwards=after.forwards - before.forwards + 1,
        backwards=after.backwards - before.backwards,
        queries=after.queries - before.queries,
    )


def finite(logits: Tensor) -> Tensor:
    """Logits of which a prediction can be made: argmax would take NaN for the largest.

    Raises:
        AuditError: some are not finite (code ``non_finite_scores``).
    """
    overflown = int((~torch.isfinite(logits)).any(dim=1).sum())
    if overflown:
        raise AuditError(
            "non_finite_scores",
            f"The model gives NaN or infinity for {overflown} of {len(logits)} clips that were"
            " scored together: its weights overflow, and nothing can be said of how robust it"
            " is. Train it anew with a lower learning rate, or scale its weights down.",
        )
    return logits


def without_snr(threat: ThreatModel, radius: Tensor) -> Tensor:
    """Which clips are digital silence where a strength is an SNR, (batch,) bool: nothing may be
    changed in them, however strong the attack."""
    return (radius == 0) & (threat.strength_name == "snr_db")


def without_direction(threat: ThreatModel, x: Tensor, proposed: Tensor, radius: Tensor) -> Tensor:
    """For which clips an attack had nothing to go by.

    Args:
        x, proposed: clean input and what the attack proposes, (batch, ...).
        radius: (batch,).

    Returns:
        (batch,), bool: nothing has moved although a move by the radius would be seen, the clip is
        digital silence, which has no SNR, or some value of the proposal is not finite.
    """
    flat = x.flatten(1)
    seen = (flat + radius[:, None] != flat).any(dim=1)
    if threat.strength_name == "snr_db":
        seen = seen | (flat == 0).all(dim=1)
    still = (proposed == x).flatten(1).all(dim=1) & seen
    return still | ~torch.isfinite(proposed).flatten(1).all(dim=1)
