"""What an audit leaves to look at and to listen to: inputs as they were scored, pictures, sounds.

A few clips stand for all: at first such as an attack broke, of every emotion in turn. What is shown
is what was scored, kept at that moment (`workers.audits.record`): no attack is run a second time
for it.

The sound of an attack on log-mels is a float WAV. The rounding of 16-bit audio alone lifts the
bands that a band-limited recording leaves empty by several of their standard deviations, and the
model would hear that. An attack on a waveform is the 16-bit WAV that was scored; a float WAV where
the recording itself exceeds full scale. So is a corrupted recording, which nobody has rounded.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as to_safetensors
from torch import Tensor

from app.audits import files
from app.audits.result import AuditResult
from app.registry.service import Entry
from app.settings import Settings
from models.attacks import Attack
from models.audio import Encoding, encode_wav
from models.audit import Audit, AuditRow, points
from models.audit.evidence import AttackedPrediction
from models.audit.measures.stoi import stoi
from models.audit.perturbation import Perturbation
from models.audit.sound import played
from models.budget import within_full_scale
from models.corruptions import Corruption
from workers.audits.clips import AuditClips
from workers.audits.pictures import Half, spectrogram_pair, uar_curves
from workers.audits.record import Record
from workers.runtime.progress import Watchdog

MOST_PICTURES: Final = 4


@dataclass(frozen=True)
class Pictures:
    """What draws them; tests that look at other things draw nothing."""

    pair: Callable[..., bytes] = spectrogram_pair
    curves: Callable[..., bytes] = uar_curves


DRAWN: Final = Pictures()


class Choice:
    """Which clips to show: broken ones first, and of these and of the others each class in turn.

    It takes rows one after the other. A clip's rank does not change when later ones come, so what
    is not among the first now will not be among them at the end, and need not be kept.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: dict[tuple[bool, str], int] = {}
        self._best: list[tuple[bool, int, int]] = []

    def add(self, row: AuditRow) -> None:
        """Consider a clip."""
        kind = (not any(one.success for one in row.attacked), row.truth)
        self._seen[kind] = self._seen.get(kind, 0) + 1
        self._best = sorted([*self._best, (kind[0], self._seen[kind], row.index)])[: self.most]

    @property
    def indices(self) -> list[int]:
        """Of the clips to show."""
        return [index for _, _, index in self._best]


@dataclass(frozen=True)
class ShownClip:
    """A clip that is shown.

    Attributes:
        row: its evidence.
        inputs: what was scored, by the place in ``row.attacked``.
    """

    row: AuditRow
    inputs: dict[int, Tensor]


@dataclass(frozen=True)
class Sound:
    """A clip as it is and as it was attacked, (samples,) each, and what is told of the latter."""

    own: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    encoding: Encoding
    heard: str


class Folder:
    """Files as they are made, with what is told of each."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self.made: list[files.ArtifactFile] = []

    def add(self, name: str, content: bytes, description: str, stoi: float | None = None) -> None:
        """Write a file."""
        (self._path / name).write_bytes(content)
        self.made.append(
            files.ArtifactFile(
                name=name,
                media_type=files.MEDIA_TYPES[Path(name).suffix],
                description=description,
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                stoi=stoi,
            )
        )


@dataclass(frozen=True)
class Gallery:
    """What artifacts are made from, and where they go."""

    folder: Folder
    audit: Audit
    clips: AuditClips
    entry: Entry
    pictures: Pictures

    def add_picture(self, number: int, clip: ShownClip) -> None:
        """The clip beside its weakest successful attack, or the strongest if none succeeded."""
        attacks = self.audit.attacks
        place = _place_to_show(clip.row.attacked, attacks)
        if place is None or place not in clip.inputs:
            return
        row, shown = clip.row, clip.row.attacked[place]
        attack = attacks[shown.attack]
        own = self._clean_input(row.index, attack)
        told = said(attack, shown.strength)
        clip_frames = self._frames(row.index)
        picture = self.pictures.pair(
            Half(self._log_mels(own, attack), row.clean.label, row.clean.scores[row.clean.label]),
            Half(
                self._log_mels(clip.inputs[place], attack),
                shown.label,
                shown.scores[shown.label],
            ),
            attack=told,
            truth=row.label,
            clip_frames=clip_frames
            if attack.domain == "features" and clip_frames < self.audit.victim.frames
            else None,
        )
        self.folder.add(
            files.picture_name(number),
            picture,
            f"{row.clip}, clean and under {told}, as Figure 2 of the paper",
        )

    def add_inputs(self, shown: Sequence[ShownClip]) -> None:
        """All inputs in one file, as scored: log-mels z-scored, or a budget would be rounded."""
        tensors: dict[str, Tensor] = {
            "mean": torch.tensor(self.entry.config.mean),
            "std": torch.tensor(self.entry.config.std),
        }
        for clip in shown:
            name = f"{clip.row.index:06d}"
            for domain in sorted({attack.domain for attack in self.audit.attacks}):
                attack = next(one for one in self.audit.attacks if one.domain == domain)
                if domain == "features" or self.clips.audible:
                    tensors[f"{name}.{domain}"] = self._clean_input(clip.row.index, attack)
            for place, x in clip.inputs.items():
                tensors[f"{name}.attacked.{place:03d}"] = x
        told = {
            "units": "features: z-scored (n, mels), log-mel = x * std + mean; waveform: (samples,)",
            "model": self.entry.id,
            "model_sha256": self.entry.sha256,
            "labels": json.dumps(self.entry.config.labels),
            "clips": json.dumps({f"{clip.row.index:06d}": clip.row.clip for clip in shown}),
            "points": json.dumps(
                {
                    f"{number:03d}": {
                        "attack": point.attack,
                        "type": self.audit.attacks[point.attack].type,
                        "parameters": self.audit.attacks[point.attack].parameters(),
                        "strength": point.strength,
                    }
                    for number, point in enumerate(points(self.audit.attacks))
                }
            ),
        }
        self.folder.add(
            files.INPUTS_FILE,
            with_sorted_metadata(
                to_safetensors({name: x.contiguous().cpu() for name, x in tensors.items()}, told)
            ),
            f"Clean and adversarial inputs of {len(shown)} clips, and how to read them",
        )

    def add_sounds(self, clip: ShownClip, most: int) -> int:
        """A clip's successful attacks as WAVs, its own beside them; says how many were made."""
        row = clip.row
        broken = [place for place, one in enumerate(row.attacked) if one.success]
        broken = [place for place in broken if place in clip.inputs][: max(0, most - 1)]
        if not self.clips.audible or not broken:
            return 0
        for number, place in enumerate(broken):
            shown = row.attacked[place]
            attack = self.audit.attacks[shown.attack]
            sound = self._sound(clip, place, attack)
            if number == 0:
                own = encode_wav(sound.own)
                self.folder.add(files.clean_name(row.index), own, f"{row.clip} at 16 kHz")
            self.folder.add(
                files.sound_name(row.index, place + 1),
                encode_wav(sound.adversarial, encoding=sound.encoding),
                f"{row.clip} under {said(attack, shown.strength)}: {sound.heard}",
                stoi(sound.own, sound.adversarial) if isinstance(attack, Attack) else None,
            )
        return len(broken) + 1

    def _sound(self, clip: ShownClip, place: int, attack: Perturbation) -> Sound:
        """The clip's own sound, the adversarial one, and what is told of it."""
        shown, x = clip.row.attacked[place], clip.inputs[place]
        waveform = self.clips.waveform(clip.row.index)
        if attack.domain == "waveform":
            own = self.audit.victim.waveform(waveform).cpu()
            size = shown.distortion
            ratio = "" if size is None or size.snr_db is None else f"{size.snr_db:.1f} dB SNR: "
            heard = f"{ratio}heard as {shown.label}"
            exact = isinstance(attack, Corruption) or not bool(within_full_scale(x).all())
            encoding: Encoding = "float32" if exact else "pcm16"
            return Sound(own.numpy(), x.numpy(), encoding, heard)
        change = (x - self._clean_input(clip.row.index, attack)).to(self.audit.victim.device)
        clean, sound = played(self.audit.victim, waveform, change)
        audio = shown.audio
        assert audio is not None  # it was broken, and sound was at hand
        heard = f"{audio.snr_db:.1f} dB SNR: heard as {audio.label}"
        return Sound(clean.cpu().numpy(), sound.cpu().numpy(), "float32", heard)

    def _clean_input(self, index: int, attack: Perturbation) -> Tensor:
        if attack.domain == "features":
            return self.audit.victim.features(self.clips.log_mels(index)).cpu()
        return self.audit.victim.waveform(self.clips.waveform(index)).cpu()

    def _log_mels(self, x: Tensor, attack: Perturbation) -> Tensor:
        victim = self.audit.victim
        x = x.to(victim.device)
        if attack.domain == "waveform":
            heard: Tensor = victim.log_mel(x)
            return heard.cpu()
        return victim.standardizer.inverse(x).cpu()

    def _frames(self, index: int) -> int:
        """Of a clip as the model hears it, before it is repeated."""
        return len(self.audit.victim.front_end(self.clips.log_mels(index)))


def make(
    audit: Audit,
    record: Record,
    chosen: Sequence[int],
    clips: AuditClips,
    entry: Entry,
    result: AuditResult,
    path: Path,
    *,
    save: bool,
    settings: Settings,
    watchdog: Watchdog,
    pictures: Pictures,
) -> list[files.ArtifactFile]:
    """Make them all.

    Args:
        chosen: clips to show, by index.
        path: the folder to make them in; it does not exist yet.
        save: whether inputs and sounds are kept, or pictures alone.

    Raises:
        Stopped: the worker is to stop.
    """
    gallery = Gallery(Folder(path), audit, clips, entry, pictures)
    title = f"{entry.name} on {clips.title}, {result.n} clips"
    gallery.folder.add(
        files.CURVE,
        pictures.curves(result, audit.attacks, title=title),
        "UAR against the strength of the attacks, as Figure 3 of the paper",
    )
    shown = _shown_clips(record, chosen)
    sounds_left = settings.max_saved_wavs if save else 0
    watchdog.progress(0, len(shown), "artifacts")
    for number, clip in enumerate(shown, start=1):
        watchdog.check()
        if number <= MOST_PICTURES:
            gallery.add_picture(number, clip)
        sounds_left -= gallery.add_sounds(clip, sounds_left)
        watchdog.progress(number, len(shown), "artifacts")
    if save:
        gallery.add_inputs(shown)
    return gallery.folder.made


def with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file whose metadata are in order: the library writes them in another at each
    run, and the same audit is to leave the same bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors are aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _shown_clips(record: Record, chosen: Sequence[int]) -> list[ShownClip]:
    wanted = set(chosen)
    rows = {row.index: row for row in record.rows() if row.index in wanted}
    return [ShownClip(rows[index], record.inputs(index)) for index in chosen]


def _place_to_show(
    attacked: Sequence[AttackedPrediction], attacks: Sequence[Perturbation]
) -> int | None:
    """Of a clip's outcomes the weakest success, or the strongest failure; at best no control."""
    places = [place for place, one in enumerate(attacked) if not attacks[one.attack].control]
    places = places or list(range(len(attacked)))
    if not places:
        return None

    def order(place: int) -> float:
        one = attacked[place]
        return attacks[one.attack].threat.order(one.strength)

    first = attacked[places[0]].attack
    broken = [place for place in places if attacked[place].success]
    if broken:
        first = attacked[broken[0]].attack
        return min((place for place in broken if attacked[place].attack == first), key=order)
    return max((place for place in places if attacked[place].attack == first), key=order)


def said(attack: Perturbation, strength: float) -> str:
    """An attack at a strength in words, such as "PGD, steps 10, on the waveform, 40 dB SNR"."""
    if isinstance(attack, Corruption):
        return f"{attack.describe()}, {strength:g} {attack.unit}"
    measure = f"{strength:g} dB SNR" if attack.threat.smaller_is_harder else f"ε = {strength:g}"
    place = ", on the waveform" if attack.domain == "waveform" else ""
    return f"{attack.describe()}{place}, {measure}"
