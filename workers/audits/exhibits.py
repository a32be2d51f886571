"""Makes the exhibits of an audit; see `app.audits.exhibits`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.audits import files
from app.audits.exhibits import Exhibit, Heard, HeardFile, Recordings, Role, Views
from app.registry.service import Entry
from models.audio import encode_flac
from models.audit.evidence import AttackedPrediction, ClipPrediction
from models.excerpts import Excerpts, excerpts, loudest_part
from models.features import HOP, SAMPLE_RATE
from models.playback import snr_db
from workers.audits.choice import BrokenClip
from workers.audits.exhibit_pictures import VIEWS, Exhibited, Picture, View
from workers.audits.folder import Folder
from workers.audits.hearing import hear
from workers.audits.shown import ScoredInputs, ShownClip, Sound, said
from workers.audits.sounds import Sounds

Draw = Callable[[Exhibited], dict[View, Picture]]


@dataclass(frozen=True)
class ExhibitMaker:
    """What exhibits are made from, and where their files go.

    Attributes:
        broken: clips that they are chosen from.
        draw: the pictures.
        audible: whether excerpts are made.
    """

    folder: Folder
    scored: ScoredInputs
    entry: Entry
    sounds: Sounds
    broken: int
    draw: Draw
    audible: bool

    def make(self, role: Role, clip: ShownClip, place: int) -> Exhibit:
        """Draw it, write its excerpts and WAVs, and tell of it."""
        row, shown = clip.row, clip.row.attacked[place]
        attack = self.scored.audit.attacks[shown.attack]
        view = _View.of(self.scored, clip, place)
        recordings = self.sounds.add(clip, place)
        sound = self.scored.sound(clip, place) if self.audible else None
        length = view.samples if sound is None else len(sound.own)
        part = loudest_part(view.energies, length)
        played = None if sound is None else excerpts(sound.own, sound.adversarial, part)
        pictured, pictured_s = view.pictured(part)
        titles, notes = self._told(role, clip, place)
        pictures = self._add_pictures(role, clip, Exhibited(
            *pictured, titles, notes, pictured_s[0], view.repeats,
        ))  # fmt: skip
        return Exhibit(
            role=role,
            clip=row.clip,
            index=row.index,
            label=row.label,
            speaker=row.speaker,
            attack=shown.attack,
            description=said(attack, shown.strength),
            strength=shown.strength,
            unit=attack.threat.unit,
            broken=self.broken,
            clean=_heard(row.clean),
            attacked=_heard(shown),
            resynthesised=None if recordings is None else self._hear(recordings, sound),
            noise=self._noise(row.attacked, shown),
            excerpt_s=(round(part[0] / SAMPLE_RATE, 3), round(part[1] / SAMPLE_RATE, 3)),
            pictures=pictures,
            pictured_s=pictured_s,
            gain_db=None if played is None else played.gain_db,
            difference_gain_db=None if played is None else played.difference_gain_db,
            sounds=None if played is None else self._add_excerpts(role, clip, played),
            recordings=recordings,
        )

    def _told(
        self, role: Role, clip: ShownClip, place: int
    ) -> tuple[dict[View, str], dict[View, str]]:
        """Titles of the pictures, and their second lines. They name no file and no speaker: who
        passes a report on may leave these out."""
        row, shown = clip.row, clip.row.attacked[place]
        attack = said(self.scored.audit.attacks[shown.attack], shown.strength)
        truth = "without a label" if row.label is None else f"labelled {row.label}"
        n = f"n = {self.broken} broken clips"
        return {
            "original": f"original: {row.clean.label} ({row.clean.scores[row.clean.label]:.2f})",
            "adversarial": f"adversarial: {shown.label} ({shown.scores[shown.label]:.2f})",
            "difference": f"difference: {row.clean.label} → {shown.label}",
        }, {
            "original": f"clip {row.index}, {truth}; {role} of {n}",
            "adversarial": f"clip {row.index}, {attack}",
            "difference": f"clip {row.index}, adversarial − original",
        }

    def _add_pictures(self, role: Role, clip: ShownClip, shown: Exhibited) -> Views:
        drawn = self.draw(shown)
        names = {}
        for view in VIEWS:
            told = f"{clip.row.clip}, the {role} broken clip: {shown.titles[view]}"
            for suffix, content in ((".png", drawn[view].png), (".svg", drawn[view].svg)):
                self.folder.add(files.exhibit_name(role, view, suffix), content, told)
            names[view] = files.exhibit_name(role, view, ".png")
        return Views(**names)

    def _add_excerpts(self, role: Role, clip: ShownClip, played: Excerpts) -> Views:
        sounds = {
            "original": (played.original, played.gain_db),
            "adversarial": (played.adversarial, played.gain_db),
            "difference": (played.difference, played.gain_db + played.difference_gain_db),
        }
        names = {}
        for view, (samples, gain_db) in sounds.items():
            names[view] = files.exhibit_name(role, view, ".flac")
            told = f"{clip.row.clip}, the {role} broken clip: {view}, {gain_db:+.1f} dB"
            self.folder.add(names[view], encode_flac(samples), told)
        return Views(**names)

    def _hear(self, recordings: Recordings, sound: Sound | None) -> HeardFile | None:
        found = hear(self.scored.audit, self.entry, self.folder.read(recordings.adversarial))
        if found is None or sound is None:
            return None
        ratio = snr_db(torch.from_numpy(sound.own), torch.from_numpy(sound.adversarial))
        return HeardFile(**found.model_dump(), snr_db=round(float(ratio), 2))

    def _noise(
        self, attacked: Sequence[AttackedPrediction], shown: AttackedPrediction
    ) -> Heard | None:
        """Of the first control of the request with this threat model and strength."""
        attacks = self.scored.audit.attacks
        threat = attacks[shown.attack].threat
        for one in attacked:
            attack = attacks[one.attack]
            if attack.control and attack.threat == threat and one.strength == shown.strength:
                return _heard(one)
        return None


@dataclass(frozen=True)
class _View:
    """What was scored, as log-mels.

    Attributes:
        original, adversarial: (n, mels), natural logarithm.
        heard: the frame of the clip that each of the first of these is.
        energies: of the difference in each frame of the clip.
        samples: of the clip.
    """

    original: Tensor
    adversarial: Tensor
    heard: NDArray[np.int64]
    energies: NDArray[np.float64]
    samples: int

    @classmethod
    def of(cls, scored: ScoredInputs, clip: ShownClip, place: int) -> "_View":
        index, attack = clip.row.index, scored.audit.attacks[clip.row.attacked[place].attack]
        original = scored.log_mels(scored.clean_input(index, attack), attack)
        adversarial = scored.log_mels(clip.inputs[place], attack)
        if attack.domain == "waveform":
            heard = np.arange(len(original))
        else:
            heard = scored.heard_frames(index).numpy()[: len(original)]
        change = (adversarial - original).double().square().sum(dim=1).numpy()
        energies = np.zeros(1 + int(heard.max()))
        energies[heard] = change[: len(heard)]
        samples = round(clip.row.duration_s * SAMPLE_RATE)
        return cls(original, adversarial, heard, energies, samples)

    @property
    def repeats(self) -> int | None:
        """Frames after which the clip begins again, if it does."""
        return len(self.heard) if len(self.heard) < len(self.original) else None

    def pictured(self, part: tuple[int, int]) -> tuple[tuple[Tensor, Tensor], tuple[float, float]]:
        """What the pictures show, and from when to when: what is played of the clip; of a short one
        all that was scored, its repeats too."""
        first, end = 0, len(self.original)
        if self.repeats is None:
            within = (self.heard * HOP >= part[0]) & (self.heard * HOP < part[1])
            (numbers,) = within.nonzero()
            if len(numbers):
                first, end = int(numbers[0]), int(numbers[-1]) + 1
        seconds = (round(first * HOP / SAMPLE_RATE, 3), round(end * HOP / SAMPLE_RATE, 3))
        return (self.original[first:end], self.adversarial[first:end]), seconds


def _heard(said: ClipPrediction) -> Heard:
    return Heard(label=said.label, score=said.scores[said.label])


def make_exhibits(
    maker: ExhibitMaker,
    chosen: Mapping[Role, BrokenClip],
    clips: Mapping[int, ShownClip],
) -> list[Exhibit]:
    """All whose inputs are at hand.

    Args:
        clips: by their index.
    """
    return [
        maker.make(role, clips[one.index], one.place)
        for role, one in chosen.items()
        if one.place in clips[one.index].inputs
    ]
