"""An audit that nothing can be said against, and the same with one flaw for each check."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.attacks import Attack, parse
from models.audit import AuditRow
from models.audit.checks import Observed, Probe, Written
from models.audit.clips import ClipFacts
from models.audit.evidence import AttackedPrediction, ClipPrediction, CostSpent, Distortion
from models.audit.result import AuditSummary, Scale
from models.audit.summary import Summary
from models.provenance import Provenance, speaker_hash

LABELS: Final = ("anger", "fear", "joy")
FGSM: Final = parse({"type": "fgsm", "epsilon": [0.1, 10]})
PGD: Final = parse({"type": "pgd", "epsilon": [0.1, 10], "steps": 10})
PGD_LONG: Final = parse({"type": "pgd", "epsilon": [0.1, 10], "steps": 20})
SQUARE: Final = parse({"type": "square", "epsilon": [0.1], "queries": 10})
NOISE: Final = parse({"type": "noise", "epsilon": [0.1, 10]})
ATTACKS: Final = (FGSM, PGD, PGD_LONG, SQUARE, NOISE)
QUIET: Final = Probe(
    floor_clips=0, heard_clips=300, clips=8, again=0, largest_difference=0.0, zero=0,
    not_finite=0, exploding=0, largest_gradient=0.5, like_probabilities=0,
)  # fmt: skip
BROKEN: Final[Mapping[str, Collection[int]]] = {
    "fgsm": range(2), "pgd 10": range(4), "pgd 20": range(4), "square": range(3), "noise": range(1),
}  # fmt: skip
"""Of each ten clips, those that an attack breaks at .1. At 10 or 0 dB, noise breaks half of all,
and what goes by gradients all."""


def kind_of(attack: Attack) -> str:
    """As `BROKEN` has it."""
    steps = attack.parameters().get("steps")
    return attack.type if steps is None else f"{attack.type} {steps}"


def right(_: int, truth: int) -> int:
    """A model that knows all."""
    return truth


@dataclass(frozen=True)
class Audit:
    """What an audit is made of; clips are by their number from 0.

    Attributes:
        truth: the class of each clip.
        clean: of a clip and its class: the class that the model says.
        broken: of each ten clips, at .1.
        stands: clips that nothing breaks at 10.
        sure: score of the predicted class, clean.
        rises: whether the loss of a clip rises where it is not broken.
        lost: clips on which attacks had nothing to go by.
        silent: clips of digital silence; nothing breaks them either.
        of: clips that were to be scored.
    """

    truth: tuple[int, ...] = tuple(number % 3 for number in range(300))
    clean: Callable[[int, int], int] = right
    attacks: tuple[Attack, ...] = ATTACKS
    broken: Mapping[str, Collection[int]] = field(default_factory=lambda: dict(BROKEN))
    stands: Collection[int] = ()
    sure: float = 0.9
    rises: bool = True
    lost: Collection[int] = ()
    silent: Collection[int] = ()
    speakers: int = 12
    genders: str = "fm"
    of: int | None = None
    scale: Scale = field(default_factory=lambda: Scale(lowest=0.9, median=1.1, highest=1.4))
    probe: Probe | None = QUIET
    written: Written | None = field(default_factory=lambda: Written(24, 0, 0.0))
    training: Provenance = field(
        default_factory=lambda: Provenance(
            corpus="corpus_A", speakers_sha256=[speaker_hash("somebody else")]
        )
    )
    request: Mapping[str, Any] = field(default_factory=dict)
    doctored: Callable[[AuditSummary], AuditSummary] = lambda summary: summary

    def observed(self) -> Observed:
        """What checks are given."""
        summary = Summary(LABELS, self.attacks)
        for number in range(len(self.truth)):
            summary.add(self.row(number))
        found = summary.result(of=self.of or len(self.truth), scale=self.scale, seconds={})
        return Observed(
            summary=self.doctored(found),
            columns=summary.columns,
            attacks=self.attacks,
            request={"limit": None, "partition": "test", "fold": None, **self.request},
            clips=[
                ClipFacts(f"{number}.wav", LABELS[truth], self.speaker(number), None, 2.0)
                for number, truth in enumerate(self.truth)
            ],
            corpus="corpus_A",
            training=self.training,
            probe=self.probe,
            written=self.written,
        )

    def speaker(self, number: int) -> str:
        """Each says every emotion."""
        return f"speaker {number // 3 % self.speakers}"

    def row(self, number: int) -> AuditRow:
        """The evidence of a clip."""
        truth = self.truth[number]
        before = self.clean(number, truth)
        speaker = self.speaker(number)
        gender = self.genders[int(speaker.split()[1]) % len(self.genders)]
        return AuditRow(
            index=number, clip=f"{number}.wav", label=LABELS[truth], speaker=speaker,
            gender=gender, duration_s=2.0, clean=said(before, self.sure),
            attacked=[
                self.under(number, place, attack, strength)
                for place, attack in enumerate(self.attacks)
                for strength in attack.strengths
            ],
        )  # fmt: skip

    def under(self, number: int, place: int, attack: Attack, strength: float) -> AttackedPrediction:
        """What the model says of it under an attack."""
        truth = self.truth[number]
        before = self.clean(number, truth)
        ten = number // 3 % 10
        if strength < 1 and attack.threat.unit != "dB":
            breaks = ten in self.broken[kind_of(attack)]
        else:
            still = number in self.stands or number in self.silent
            breaks = not still and (not attack.control or ten < 5)
        breaks = breaks and before == truth
        after = said((truth + 1) % 3, 0.6) if breaks else said(before, self.sure)
        if not breaks and self.rises and not attack.control:
            after = said(before, self.sure - 0.05)
        return AttackedPrediction(
            attack=place, strength=strength, **after.model_dump(),
            success=breaks if before == truth else None,
            no_direction=number in self.silent or (number in self.lost and not attack.control),
            details={"digital_silence": True} if number in self.silent else {},
            distortion=Distortion(linf=strength, l2=strength, snr_db=None, band_db=strength),
            cost=CostSpent(forwards=1, backwards=0, queries=0),
        )  # fmt: skip


def said(label: int, score: float) -> ClipPrediction:
    """That class with this score; the others share the rest."""
    rest = (1 - score) / (len(LABELS) - 1)
    scores = {name: score if place == label else rest for place, name in enumerate(LABELS)}
    return ClipPrediction(label=LABELS[label], scores=scores)


SOUND: Final = Audit()


def falling(summary: AuditSummary) -> AuditSummary:
    """A summary whose worst case gets better with the strength."""
    weaker, *others = summary.worst_case
    fallen = [one.model_copy(update={"success_rate": 0.1}) for one in others]
    return summary.model_copy(update={"worst_case": [weaker, *fallen]})


def without(*names: str) -> tuple[Attack, ...]:
    """The attacks but for those of a type."""
    return tuple(one for one in ATTACKS if one.type not in names)


FLAWS: Final[dict[str, Audit]] = {
    "at_chance": replace(SOUND, clean=lambda number, _: number // 3 % 3),
    "one_class": replace(SOUND, clean=lambda number, truth: truth if number // 3 % 7 == 0 else 0),
    "few_right_before": replace(SOUND, truth=SOUND.truth[:45]),
    "few_clips_of_a_class": replace(
        SOUND, truth=tuple(2 if number < 4 else number % 2 for number in range(300))
    ),
    "one_speaker": replace(SOUND, speakers=1),
    "one_gender": replace(SOUND, genders="f"),
    "digital_silence": replace(SOUND, probe=replace(QUIET, floor_clips=16)),
    "scale": replace(SOUND, scale=Scale(lowest=0.9, median=2.1, highest=3)),
    "saturated": replace(SOUND, sure=1.0),
    "gradients": replace(SOUND, probe=replace(QUIET, not_finite=1)),
    "two_runs": replace(SOUND, probe=replace(QUIET, again=1, largest_difference=0.2)),
    "no_effect": replace(
        SOUND,
        rises=False,
        attacks=tuple(one.model_copy(update={"epsilon": (0.1,)}) for one in ATTACKS),
    ),
    "budget": replace(SOUND, written=Written(24, 1, 1.5)),
    "single_step": replace(SOUND, broken={**BROKEN, "fgsm": range(3, 9)}),
    "noise_no_less": replace(SOUND, broken={**BROKEN, "noise": range(3, 8)}),
    "black_box_no_less": replace(SOUND, broken={**BROKEN, "square": range(5, 9)}),
    "steps_gain": replace(SOUND, broken={**BROKEN, "pgd 20": range(5)}),
    "unbounded": replace(SOUND, stands=[7]),
    "monotone": replace(SOUND, doctored=falling),
    "training_speakers": replace(
        SOUND,
        training=Provenance(corpus="corpus_A", speakers_sha256=[speaker_hash("speaker 3")]),
    ),
    "normalisation": replace(SOUND, scale=Scale(lowest=0.995, median=1.0, highest=1.004)),
    "fgsm_alone": replace(SOUND, attacks=without("pgd", "square")),
    "predicted_labels": replace(
        SOUND, attacks=tuple(one.model_copy(update={"labels": "predicted"}) for one in ATTACKS)
    ),
    "no_control": replace(SOUND, attacks=without("noise")),
    "incomplete": replace(SOUND, of=310),
}
"""Audits with one flaw each, by the check that is to find it."""
