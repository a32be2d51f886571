"""What an audit is asked for, and what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.audits.expansion import expanded, named
from app.audits.harden_request import Harden
from app.corpora.schemas import Partition
from app.schemas import Metadata, Schema, Timestamp, at
from models.attacks import AnyAttack, Attack
from models.audit.perturbation import Perturbation
from models.corpus.folds import Fold
from models.corruptions import AnyCorruption, Corruption
from models.presets import PRESETS, PresetName, described
from models.victims import Windows

Precision = Literal["float32", "tf32"]
"""Of convolutions on a GPU."""

MAX_ATTACKS: Final = 16
MAX_CORRUPTIONS: Final = 16
MAX_POINTS: Final = 64
"""Of one audit, all attacks and corruptions together: each costs a pass through the network for
every clip."""

STORED: Final = object()
"""The context of a request that was stored: it is expanded, and says what is run."""


class _Attacks(Schema):
    """What all audits are asked for."""

    model: str = Field(max_length=64, examples=["cnn4-single-cremad"])
    preset: PresetName | None = Field(
        default=None,
        description="Attacks and corruptions under one name, added behind those of `attacks` and"
        " `corruptions`; one that is there already is not added again. Stored, and answered, beside"
        " all that it stands for. " + described(),
        examples=["quick"],
    )
    transfer_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Another model of the same labels, on which a preset that takes one carries"
        f" out attacks too: {', '.join(name for name in PRESETS if PRESETS[name].takes_a_source)}."
        " Stored as the attacks that it adds.",
        examples=["cnn4-similarity-cremad"],
    )
    attacks: list[AnyAttack] = Field(
        default_factory=list,
        max_length=MAX_ATTACKS,
        description="What is tried. Add a `noise` of the same strengths: it is the control that"
        " says what a change of that size does without an adversary.",
        examples=[
            [
                {"type": "pgd", "epsilon": [0.02], "steps": 10},
                {"type": "noise", "epsilon": [0.02]},
            ]
        ],
    )
    corruptions: list[AnyCorruption] = Field(
        default_factory=list,
        max_length=MAX_CORRUPTIONS,
        description="What happens to speech by nature: level, silence, noise, rooms, codecs. Each"
        " stands in the result's `attacks` behind the attacks, with the domain `corruption`, and in"
        " the curve, rows and CSV as they do; it counts in no worst case. An audit needs an attack"
        " or a corruption. The recordings of the clips must be at hand.",
        examples=[
            [
                {"type": "gain", "db": [-20, -6, 6]},
                {"type": "silence", "seconds": [0.3]},
                {"type": "codec", "name": "mulaw"},
            ]
        ],
    )
    windows: Windows = Field(
        default="all",
        description="Of a clip that is longer than the model's window: all of its windows,"
        " averaged, as a prediction does; or the first alone, as in the paper.",
    )
    precision: Precision = Field(
        default="float32",
        description="On a GPU, tf32 rounds convolutions to ten bits: several times as fast, and"
        " now and then another prediction. Elsewhere the two are the same.",
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        le=30 * 86_400,
        description="After which the audit ends with what is scored until then.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="Of the draw that `limit` makes, and of every random draw of attacks and"
        " corruptions.",
    )
    detector: bool = Field(
        default=False,
        strict=True,
        description="Ask the detector that is attached to the model too: rows then carry"
        " `detection`, and beside the usual figures stand `alarm_rate` (of clean clips its false"
        " alarms), `adversarial_auc`, and `unnoticed_rate`, which counts a detected clip as not"
        " broken.",
    )
    save_adversarial: bool = Field(
        default=True,
        strict=True,
        description="Keep some adversarial inputs, and those that break the model as WAVs too.",
    )
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came.",
        examples=[{"ticket": "QA-17"}],
    )

    @model_validator(mode="before")
    @classmethod
    def _with_the_preset(cls, values: object, info: ValidationInfo) -> object:
        if info.context is STORED or not isinstance(values, Mapping):
            return values
        return expanded(values)

    @field_validator("attacks")
    @classmethod
    def _different_attacks_with_strengths(
        cls, attacks: list[Attack], info: ValidationInfo
    ) -> list[Attack]:
        seen: dict[str, int] = {}
        for number, attack in enumerate(attacks):
            if attack.needs_strengths:
                field: tuple[int | str, ...] = (number, *attack.needs_strengths.split("."))
                raise at(field, "missing", "is missing: give at least one strength")
            first = seen.setdefault(attack.identity(), number)
            if first != number:
                raise at(
                    (number,),
                    "attack_twice",
                    f"is the same attack as attacks.{first}: give all strengths in one of them"
                    + _or_no_preset(info),
                    attack.describe(),
                )
        _check_points(attacks)
        return attacks

    @field_validator("corruptions")
    @classmethod
    def _different_corruptions(
        cls, corruptions: list[Corruption], info: ValidationInfo
    ) -> list[Corruption]:
        seen: dict[str, int] = {}
        for number, corruption in enumerate(corruptions):
            first = seen.setdefault(corruption.identity(), number)
            if first != number:
                raise at(
                    (number,),
                    "corruption_twice",
                    f"is the same corruption as corruptions.{first}: give all strengths in one of"
                    f" them{_or_no_preset(info)}",
                    corruption.describe(),
                )
        _check_points([*info.data.get("attacks", []), *corruptions])
        return corruptions

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.perturbations:
            raise at(
                ("attacks",), "missing", "is missing: give at least one attack or corruption", []
            )
        return self

    @model_validator(mode="after")
    def _as_the_preset_says(self, info: ValidationInfo) -> Self:
        preset = named(self.preset)
        if info.context is STORED:
            return self
        if self.transfer_from is not None and not (preset and preset.takes_a_source):
            raise at(
                ("transfer_from",),
                "no_effect",
                "has no effect without a preset that takes it: give such a preset, or an attack of"
                " type transfer",
                self.transfer_from,
            )
        for field, value in {} if preset is None else preset.fields.items():
            if getattr(self, field) != value:
                raise at(
                    (field,),
                    "not_of_the_preset",
                    f"is another than that of the preset {self.preset}, {value}: leave one of the"
                    " two out",
                    getattr(self, field),
                )
        return self

    @property
    def perturbations(self) -> list[Perturbation]:
        """All that is run, in the order of the result: attacks, then corruptions."""
        return [*self.attacks, *self.corruptions]

    def to_request(self) -> dict[str, Any]:
        """What is stored as the job's input: every default spelt out."""
        stored = self.model_dump(mode="json", exclude={"metadata", "transfer_from"})
        if self.preset is None:
            del stored["preset"]
        if not self.detector:  # as audits before there were detectors
            del stored["detector"]
        return stored

    @classmethod
    def of_stored(cls, request: Mapping[str, Any]) -> Self:
        """What a job was asked for, with nothing added: a preset of that name may have changed."""
        return cls.model_validate(request, context=STORED)


def _or_no_preset(info: ValidationInfo) -> str:
    return "" if info.data.get("preset") is None else ", or leave the preset out"


def _check_points(perturbations: Sequence[Perturbation]) -> None:
    points = sum(len(one.strengths) for one in perturbations)
    if points > MAX_POINTS:
        raise at(
            (),
            "too_many_points",
            f"have {points} strengths together: give at most {MAX_POINTS}",
            f"{points} strengths",
        )


class AuditRequest(_Attacks):
    """Audit a model on a partition of a corpus."""

    corpus: str = Field(max_length=64, examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    partition: Partition = "test"
    fold: Fold | None = Field(
        default=None,
        description="A fold over the speakers instead of the corpus's own partition: its speakers"
        " are test, all others train. Give that of the model's training.",
        examples=[{"number": 1, "of": 5}],
    )
    allow_partial: bool = Field(
        default=False,
        strict=True,
        description="Audit also where more than half of the clips are left out, because the model"
        " does not know their emotions.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Audit so many clips only, drawn with the partition's mixture of emotions.",
        examples=[200],
    )
    group_by: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="A column of the corpus' index.csv (sentence, split, or one of its own), by"
        " which figures are compared as they are by speaker, gender, emotion and duration.",
        examples=["sentence"],
    )
    harden: Harden | None = Field(
        default=None,
        description="Train a hardened model if this one turns out too weak, and audit that too.",
        examples=[
            {
                "defense": {"type": "vanilla"},
                "when": {"epsilon": 0.02, "success_rate_above": 0.3},
            }
        ],
    )

    @model_validator(mode="after")
    def _no_dev_of_a_fold(self) -> Self:
        if self.fold is not None and self.partition == "dev":
            raise at(
                ("partition",),
                "no_dev",
                f"{self.fold} has no dev: its speakers are the test, and all others train. Give"
                " test, train or all, or leave fold out",
                self.partition,
            )
        return self

    @model_validator(mode="after")
    def _harden_at_a_strength_that_is_tried(self) -> Self:
        if self.harden is None:
            return self
        when = self.harden.when
        tried = sorted(
            {
                value
                for attack in self.attacks
                if attack.threat == when.threat and not attack.control
                for value in attack.strengths
            }
        )
        if when.strength not in tried:
            some = (
                f"give one of {', '.join(f'{one:g}' for one in tried)}, or " if tried else "give "
            )
            raise at(
                ("harden", "when", when.threat.strength_name),
                "strength_not_tried",
                f"no attack on {when.domain} with norm {when.norm} tries it:"
                f" {some}an attack with that strength",
                when.strength,
            )
        return self


class UploadedAuditRequest(_Attacks):
    """Audit a model on uploaded clips: the `request` part of a form, beside the `file` parts."""

    labels: list[str | None] | None = Field(
        default=None,
        description="The clips' emotions in the order of the files, null where it is not known."
        " Without any, UAR is not reported, and success is a changed prediction.",
        examples=[["anger", None]],
    )


AnyAuditRequest = AuditRequest | UploadedAuditRequest


def parse_request(stored: dict[str, Any]) -> AnyAuditRequest:
    """The request that was stored as a job's input."""
    return _kind(stored).of_stored(stored)


def parse_posted(request: Mapping[str, Any]) -> AnyAuditRequest:
    """A request as it is taken from a client who posts it: its preset is expanded.

    Raises:
        ValidationError: it would be refused.
    """
    return _kind(request).model_validate(request)


def _kind(request: Mapping[str, Any]) -> type[AuditRequest] | type[UploadedAuditRequest]:
    return AuditRequest if "corpus" in request else UploadedAuditRequest


class Artifact(Schema):
    """A file that an audit made."""

    name: str = Field(examples=["uar-curve.png"])
    media_type: str = Field(examples=["image/png"])
    description: str
    bytes: int
    sha256: str
    stoi: float | None = Field(
        default=None,
        description="Of an adversarial WAV, its intelligibility beside the clip's own: 1 is as"
        " good. Null for other files, and for clips with less than .4 s of speech.",
        examples=[0.97],
    )
    expired_at: Timestamp | None = Field(
        default=None, description="Of a recording that was removed: when. It answers 410."
    )
    url: str = Field(
        default="",
        examples=["/v1/audits/audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF/artifacts/uar-curve.png"],
    )
