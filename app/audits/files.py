"""Where an audit's files lie, inside its job's folder.

    inputs/               what was uploaded: 000001.wav …, and inputs.json
    attempt-0001/         what the attempt of that number found, published whole:
        rows.jsonl        one clip a line, see `app.audits.rows`
        rows.index        where each of them begins
        report.json       all that is needed to do the audit again, and its result
        materials.json    models and clips by their SHA-256, see `app.replay.schemas`
        artifacts.json    what lies in artifacts/
        artifacts/        log-mels, pictures, sounds

Each attempt publishes a folder of its own. The one that counts is that of the attempt that the
job's row names: an attempt that was thought dead and was not cannot spoil what clients read.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from app.persistence.kept import tree_size
from app.persistence.storage import Storage
from app.schemas import Schema

INPUTS: Final = "inputs"
ROWS: Final = "rows.jsonl"
REPORT: Final = "report.json"
MATERIALS: Final = "materials.json"
ARTIFACTS: Final = "artifacts"

MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".safetensors": "application/octet-stream",
}
"""Of the artifacts, by how their names end."""

INPUTS_FILE: Final = "adversarial.safetensors"
CURVE: Final = "uar-curve.png"
is_artifact = re.compile(
    r"adversarial\.safetensors|uar-curve\.png|figure2-[1-9]\.png"
    r"|(?:clean-[0-9]{6}|adversarial-[0-9]{6}-[0-9]{2,3})\.wav"
    r"|exhibit-(?:easiest|median|hardest)-(?:original|adversarial|difference)\.(?:png|svg|flac)"
).fullmatch


is_audio = re.compile(r"adversarial\.safetensors|.+\.(?:wav|flac)").fullmatch
"""Whether an artifact is a recording: of somebody's voice, as it was or as it was attacked. The
tensors are those clips as the model heard them; sound can be made of them."""


def picture_name(number: int) -> str:
    """Of a picture pair, from 1."""
    return f"figure2-{number}.png"


def is_picture_pair(name: str) -> bool:
    """Whether an artifact is one of those."""
    return name.startswith("figure2-")


def exhibit_name(role: str, view: str, suffix: str) -> str:
    """Of a picture or a sound of an exhibit; see `app.audits.exhibits`.

    Args:
        view: original, adversarial or difference.
        suffix: .png, .svg or .flac.
    """
    return f"exhibit-{role}-{view}{suffix}"


def clean_name(index: int) -> str:
    """Of a clip's own sound, as the model saw it, by the index of its row."""
    return f"clean-{index:06d}.wav"


def sound_name(index: int, point: int) -> str:
    """Of an adversarial sound, by the index of its row and the place in the curve, from 1."""
    return f"adversarial-{index:06d}-{point:02d}.wav"


@dataclass(frozen=True)
class Input:
    """An uploaded clip.

    Attributes:
        name: that it came with: shown, never a path.
        label: if it is known.
        duration_s: of the recording.
    """

    name: str
    label: str | None
    duration_s: float


class ArtifactFile(Schema):
    """A file in artifacts/."""

    name: str
    media_type: str
    description: str
    bytes: int
    sha256: str
    stoi: float | None = None


_Artifacts: Final = TypeAdapter(list[ArtifactFile])


def inputs_dir(storage: Storage, job_id: str) -> Path:
    """Where the uploaded clips lie."""
    return storage.job_dir(job_id) / INPUTS


def input_path(folder: Path, number: int) -> Path:
    """The uploaded clip of that number, from 0."""
    return folder / f"{number + 1:06d}.wav"


def write_inputs(folder: Path, inputs: list[Input]) -> None:
    """Say what the uploaded clips are."""
    text = json.dumps([asdict(one) for one in inputs])
    (folder / "inputs.json").write_text(text, encoding="utf-8")


def read_inputs(folder: Path) -> list[Input]:
    """What the uploaded clips are, in their order."""
    return [Input(**one) for one in json.loads((folder / "inputs.json").read_bytes())]


def attempt_dir(storage: Storage, job_id: str, attempt: int) -> Path:
    """Where the attempt of that number publishes what it found."""
    return storage.job_dir(job_id) / f"attempt-{attempt:04d}"


class Sizes(NamedTuple):
    """Bytes on the disk.

    Attributes:
        all: of what an audit keeps.
        audio: of the recordings among it.
    """

    all: int
    audio: int


def sizes(storage: Storage, job_id: str, attempt: int) -> Sizes:
    """How much a job keeps whose attempt of that number has succeeded. Of a training
    it is the detector that it made: a model is the registry's."""
    found = attempt_dir(storage, job_id, attempt)
    inputs = tree_size(inputs_dir(storage, job_id))
    audio = inputs + sum(path.stat().st_size for path in _audio(found))
    return Sizes(inputs + tree_size(found), audio)


def remove_audio(storage: Storage, job_id: str, attempt: int) -> None:
    """Remove what was uploaded, and the artifacts that are recordings. Once more does no harm."""
    storage.remove(inputs_dir(storage, job_id))
    for path in _audio(attempt_dir(storage, job_id, attempt)):
        path.unlink(missing_ok=True)


def _audio(found: Path) -> list[Path]:
    return [path for path in (found / ARTIFACTS).glob("*") if is_audio(path.name)]


def read_artifacts(folder: Path) -> list[ArtifactFile]:
    """What lies in an attempt's artifacts/."""
    return _Artifacts.validate_json((folder / "artifacts.json").read_bytes())


def write_artifacts(folder: Path, artifacts: list[ArtifactFile]) -> None:
    """Say what lies in artifacts/."""
    (folder / "artifacts.json").write_bytes(_Artifacts.dump_json(artifacts, indent=1))
