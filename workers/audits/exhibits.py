"""What an audit leaves to look at and to listen to: log-mels, pictures, sounds.

A few clips stand for all: at first such as the attack broke, of every emotion in turn. They are
attacked once more in the batch in which they were audited, so that what is kept is, to the last
bit, what was scored.

Sounds are float WAVs. The rounding of 16-bit audio alone lifts the bands that a band-limited
recording leaves empty by several of their standard deviations, and the model would hear that.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from app.audits import files
from app.registry.service import Entry
from app.settings import Settings
from models.audio import encode_wav
from models.audit import Audit, Row, points
from workers.audits.clips import Clips
from workers.audits.pictures import Half, attack_name, spectrogram_pair, uar_curve
from workers.runtime.progress import Watchdog

MOST_PICTURES: Final = 4
MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".wav": "audio/wav",
    ".safetensors": "application/octet-stream",
}


@dataclass(frozen=True)
class Exhibit:
    """A clip that is shown.

    Attributes:
        index: of its row.
        x: what the network saw, (frames, mels), z-scored.
        attacked: the same for each point of the curve, (points, frames, mels).
    """

    index: int
    row: Row
    x: Tensor
    attacked: Tensor

    @property
    def broken(self) -> list[int]:
        """The points at which the attack succeeded."""
        return [number for number in range(len(self.attacked)) if self.row.broken(number)]


class Folder:
    """Files as they are made, with what is told of each."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self.made: list[dict[str, Any]] = []

    def add(self, name: str, content: bytes, description: str) -> None:
        """Write a file."""
        (self._path / name).write_bytes(content)
        self.made.append(
            {
                "name": name,
                "media_type": MEDIA_TYPES[Path(name).suffix],
                "description": description,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )


def make(
    audit: Audit,
    rows: Sequence[Row],
    clips: Clips,
    entry: Entry,
    result: dict[str, Any],
    path: Path,
    *,
    save: bool,
    settings: Settings,
    watch: Watchdog,
) -> list[dict[str, Any]]:
    """Make them all.

    Args:
        path: the folder to make them in; it does not exist yet.
        save: whether log-mels and sounds are kept, or pictures alone.

    Returns:
        An entry a file: name, media_type, description, bytes, sha256.

    Raises:
        Stopped: the worker is to stop.
    """
    folder = Folder(path)
    title = f"{entry.name} on {clips.title}, {len(rows)} clips"
    folder.add(
        files.CURVE,
        uar_curve(result["curve"], result["clean"]["uar"], title=title),
        "UAR against ε, as Figure 3 of the paper",
    )
    shown: list[Exhibit] = []
    sounds_left = settings.max_saved_wavs if save else 0
    indices = chosen(rows, settings.max_saved_clips if save else MOST_PICTURES)
    watch.progress(0, len(indices), "exhibits")
    for number, index in enumerate(indices, start=1):
        watch.check()
        exhibit = _exhibit(audit, rows, index)
        if number <= MOST_PICTURES:
            _picture(folder, number, exhibit, audit, clips, entry)
        sounds_left -= _sounds(folder, exhibit, audit, clips, entry, sounds_left)
        shown.append(exhibit)
        watch.progress(number, len(indices), "exhibits")
    if save:
        _log_mels(folder, shown, audit, clips, entry)
    watch.progress(len(rows), len(rows), "clips")
    return folder.made


def chosen(rows: Sequence[Row], most: int) -> list[int]:
    """The rows to show: broken ones first, and of these and of the others each class in turn."""

    def broken(row: Row) -> bool:
        return any(row.broken(number) for number in range(len(row.attacked)))

    seen: dict[tuple[bool, int], int] = {}
    order: list[tuple[bool, int, int]] = []
    for index, row in enumerate(rows):
        kind = (not broken(row), row.truth)
        seen[kind] = seen.get(kind, 0) + 1
        order.append((kind[0], seen[kind], index))
    return [index for _, _, index in sorted(order)[:most]]


def _exhibit(audit: Audit, rows: Sequence[Row], index: int) -> Exhibit:
    first = index - index % audit.batch_size
    batch = torch.arange(first, min(first + audit.batch_size, len(rows)))
    x, y = audit.inputs(batch)
    before = torch.tensor([rows[number].clean.prediction for number in batch.tolist()])
    attacked = [audit.adversarial(a, x, y, before.to(y.device)) for a in audit.attacks]
    place = index - first
    return Exhibit(
        index, rows[index], x[place].cpu(), torch.cat([grid[:, place] for grid in attacked]).cpu()
    )


def _picture(
    folder: Folder, number: int, exhibit: Exhibit, audit: Audit, clips: Clips, entry: Entry
) -> None:
    """The clip beside its weakest successful attack, or the strongest if none succeeded."""
    curve = points(audit.attacks)
    strengths = exhibit.broken or [max(range(len(curve)), key=lambda n: curve[n].epsilon)]
    at = min(strengths, key=lambda n: curve[n].epsilon)
    labels = entry.config.labels
    standardizer = entry.config.standardizer
    clean, after = exhibit.row.clean, exhibit.row.attacked[at]
    own = int(audit.data.offsets[exhibit.index + 1] - audit.data.offsets[exhibit.index])
    told = f"{curve[at].attack.type.upper()}, ε = {curve[at].epsilon:g}"
    truth = None if exhibit.row.label is None else labels[exhibit.row.label]
    picture = spectrogram_pair(
        Half(
            standardizer.inverse(exhibit.x),
            labels[clean.prediction],
            clean.scores[clean.prediction],
        ),
        Half(
            standardizer.inverse(exhibit.attacked[at]),
            labels[after.prediction],
            after.scores[after.prediction],
        ),
        attack=told,
        truth=truth,
        clip_frames=own if own < audit.frames else None,
    )
    folder.add(
        files.picture_name(number),
        picture,
        f"{clips.names[exhibit.index]}, clean and under {told}, as Figure 2 of the paper",
    )


def _log_mels(
    folder: Folder, shown: Sequence[Exhibit], audit: Audit, clips: Clips, entry: Entry
) -> None:
    """All of them in one file. z-scored, as scored: from log-mels the budget would be rounded."""
    curve = points(audit.attacks)
    tensors = {
        "clean": torch.stack([exhibit.x for exhibit in shown]),
        "index": torch.tensor([exhibit.index for exhibit in shown]),
        "mean": torch.tensor(entry.config.mean),
        "std": torch.tensor(entry.config.std),
    }
    for number in range(len(curve)):
        attacked = torch.stack([exhibit.attacked[number] for exhibit in shown])
        tensors[f"adversarial.{number + 1:02d}"] = attacked
    told = {
        "units": "z-scored (clips, frames, mels); log-mel = x * std + mean",
        "model": entry.id,
        "model_sha256": entry.sha256,
        "labels": json.dumps(entry.config.labels),
        "clips": json.dumps([clips.names[exhibit.index] for exhibit in shown]),
        "points": json.dumps(
            {
                f"{number:02d}": {
                    "attack": point.attack.type,
                    "labels": point.attack.labels,
                    "clip": point.attack.clip,
                    "epsilon": point.epsilon,
                }
                for number, point in enumerate(curve, start=1)
            }
        ),
    }
    folder.add(
        files.LOG_MELS,
        to_safetensors(tensors, told),
        f"Clean and adversarial log-mels of {len(shown)} clips, and how to read them",
    )


def _sounds(
    folder: Folder, exhibit: Exhibit, audit: Audit, clips: Clips, entry: Entry, most: int
) -> int:
    """A clip's successful attacks as WAVs, its own sound beside them; says how many were made."""
    broken = exhibit.broken[: max(0, most - 1)]
    if audit.waveforms is None or not broken:
        return 0
    labels = entry.config.labels
    curve = points(audit.attacks)
    name = clips.names[exhibit.index]
    device = audit.standardizer.mean.device
    for place, number in enumerate(broken):
        change = (exhibit.attacked[number] - exhibit.x).to(device)
        own, sound = audit.played(exhibit.index, change)
        if place == 0:
            content = encode_wav(own.cpu().numpy())
            folder.add(files.clean_name(exhibit.index), content, f"{name} at 16 kHz")
        played = exhibit.row.attacked[number].played
        assert played is not None  # it was broken, and sound was at hand
        attack, epsilon = curve[number].attack, curve[number].epsilon
        told = attack_name(attack.type, attack.labels, attack.clip)
        folder.add(
            files.sound_name(exhibit.index, number + 1),
            encode_wav(sound.cpu().numpy()),
            f"{name} under {told} at ε = {epsilon:g}, {played.snr_db:.1f} dB SNR:"
            f" heard as {labels[played.prediction]}",
        )
    return len(broken) + 1
