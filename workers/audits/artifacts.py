"""What an audit leaves to look at and to listen to: inputs as they were scored, pictures, sounds.

A few clips stand for all: the easiest, the median and the hardest that an attack broke (exhibits),
and others of every emotion in turn. What is shown is what was scored, kept at that moment
(`workers.audits.record`): no attack is run a second time for it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from app.audits import files
from app.audits.exhibits import Exhibit
from app.audits.result import AuditResult
from app.registry.service import Entry
from app.settings import Settings
from models.audit import Audit, points
from models.audit.evidence import AttackedPrediction
from models.audit.perturbation import Perturbation
from workers.audits.clips import AuditClips
from workers.audits.exhibit_pictures import exhibit_pictures
from workers.audits.exhibits import Draw, ExhibitMaker, make_exhibits
from workers.audits.folder import Folder
from workers.audits.pictures import Half, spectrogram_pair, uar_curves
from workers.audits.record import Record
from workers.audits.scored import MOST_PICTURES, Scored
from workers.audits.shown import ScoredInputs, ShownClip, said
from workers.audits.sounds import Sounds
from workers.runtime.progress import Watchdog


@dataclass(frozen=True)
class Pictures:
    """What draws them; tests that look at other things draw nothing."""

    pair: Callable[..., bytes] = spectrogram_pair
    curves: Callable[..., bytes] = uar_curves
    exhibit: Draw = exhibit_pictures


DRAWN: Final = Pictures()


@dataclass(frozen=True)
class Gallery:
    """What artifacts are made from, and where they go."""

    folder: Folder
    scored: ScoredInputs
    entry: Entry
    pictures: Pictures

    def add_picture(self, number: int, clip: ShownClip, place: int | None) -> None:
        """The clip beside what an attack made of it."""
        if place is None or place not in clip.inputs:
            return
        row, shown = clip.row, clip.row.attacked[place]
        attack = self.scored.audit.attacks[shown.attack]
        own = self.scored.clean_input(row.index, attack)
        told = said(attack, shown.strength)
        clip_frames = len(self.scored.heard_frames(row.index))
        picture = self.pictures.pair(
            Half(
                self.scored.log_mels(own, attack),
                row.clean.label,
                row.clean.scores[row.clean.label],
            ),
            Half(
                self.scored.log_mels(clip.inputs[place], attack),
                shown.label,
                shown.scores[shown.label],
            ),
            attack=told,
            truth=row.label,
            clip_frames=clip_frames
            if attack.domain == "features" and clip_frames < self.scored.audit.victim.frames
            else None,
        )
        self.folder.add(
            files.picture_name(number),
            picture,
            f"{row.clip}, clean and under {told}, as Figure 2 of the paper",
        )

    def add_inputs(self, shown: Sequence[ShownClip]) -> None:
        """All inputs in one file, as scored: log-mels z-scored, or a budget would be rounded."""
        audit = self.scored.audit
        tensors: dict[str, Tensor] = {
            "mean": torch.tensor(self.entry.config.mean),
            "std": torch.tensor(self.entry.config.std),
        }
        for clip in shown:
            name = f"{clip.row.index:06d}"
            for domain in sorted({attack.domain for attack in audit.attacks}):
                attack = next(one for one in audit.attacks if one.domain == domain)
                if domain == "features" or self.scored.clips.audible:
                    tensors[f"{name}.{domain}"] = self.scored.clean_input(clip.row.index, attack)
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
                        "type": audit.attacks[point.attack].type,
                        "parameters": audit.attacks[point.attack].parameters(),
                        "strength": point.strength,
                    }
                    for number, point in enumerate(points(audit.attacks))
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


@dataclass(frozen=True)
class Made:
    """What was made of an audit."""

    artifacts: list[files.ArtifactFile]
    exhibits: list[Exhibit]


def make(
    audit: Audit,
    scored: Scored,
    clips: AuditClips,
    entry: Entry,
    result: AuditResult,
    path: Path,
    *,
    save: bool,
    settings: Settings,
    watchdog: Watchdog,
    pictures: Pictures,
) -> Made:
    """Make them all.

    Args:
        path: the folder to make them in; it does not exist yet.
        save: whether inputs and sounds are kept, or pictures alone.

    Raises:
        Stopped: the worker is to stop.
    """
    folder, inputs = Folder(path), ScoredInputs(audit, clips)
    gallery = Gallery(folder, inputs, entry, pictures)
    title = f"{entry.name} on {clips.title}, {result.n} clips"
    folder.add(
        files.CURVE,
        pictures.curves(result, audit.attacks, title=title),
        "UAR against the strength of the attacks, as Figure 3 of the paper",
    )
    sounds = Sounds(folder, inputs, settings.max_saved_wavs if save else 0)
    exhibits = ExhibitMaker(
        folder, inputs, entry, sounds, scored.broken.count, pictures.exhibit, save and clips.audible
    )
    found = scored.broken.exhibits
    known = _shown_clips(scored.record, [*scored.shown, *(one.index for one in found.values())])
    shown = [known[index] for index in scored.shown]
    watchdog.check()
    made = make_exhibits(exhibits, found, known)
    watchdog.progress(0, len(shown), "artifacts")
    for number, clip in enumerate(shown, start=1):
        watchdog.check()
        place = _place_to_show(clip.row.attacked, audit.attacks)
        if number <= MOST_PICTURES:
            gallery.add_picture(number, clip, place)
        sounds.add_weakest(clip, place)
        watchdog.progress(number, len(shown), "artifacts")
    if save:
        sounds.add_others(shown)
        gallery.add_inputs(shown)
    return Made(folder.made, made)


def with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file whose metadata are in order: the library writes them in another at each
    run, and the same audit is to leave the same bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors are aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _shown_clips(record: Record, chosen: Iterable[int]) -> dict[int, ShownClip]:
    """By their index."""
    wanted = set(chosen)
    return {
        row.index: ShownClip(row, record.inputs(row.index))
        for row in record.rows()
        if row.index in wanted
    }


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
