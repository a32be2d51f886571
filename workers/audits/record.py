"""What the attempts of one audit have scored, kept so that a killed one loses little.

    checkpoint/attempt-0001/      each attempt has its own: one that was wrongly taken for dead
        rows.jsonl                cannot spoil another's
        seconds.json              that the chunks in rows.jsonl took: each attack, and all of it
        chunk/                    what is finished of the chunk under way, a file a unit
            clean.json, point-003.json, point-003.safetensors, minimum-001.json
        artifacts/                 inputs of the clips that will be shown, as they were scored
            000012.safetensors

A shard of an audit has a folder of this kind for itself, `checkpoint/shard-0003/`.

An attempt that follows another takes its folder over. A torn last row, and rows that fill no chunk,
are scored again; so are units of chunks of another size, which a setting decides.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.audit import AuditRow, ClipPrediction, ScoredPoint
from models.audit.evidence import AttackedPrediction, SmallestStrength
from models.budget import STEP, within_full_scale

ROWS: Final = "rows.jsonl"

_Clean: Final = TypeAdapter(dict[int, ClipPrediction])
_Point: Final = TypeAdapter(dict[int, AttackedPrediction])
_Minimum: Final = TypeAdapter(dict[int, SmallestStrength])


class Record:
    """The folder of one attempt.

    Args:
        folder: of the job's checkpoints.
        attempt: its number.
        chunk: clips of a chunk.
        clips: those that it is of: all, or those of a shard.

    Attributes:
        seconds: that each attack has taken, by its index.
        elapsed: seconds that all attempts have had, for the chunks that are finished.
    """

    def __init__(self, folder: Path, attempt: int, chunk: int, clips: range) -> None:
        self.path = folder / f"attempt-{attempt:04d}"
        self.chunk = chunk
        self.clips = clips
        self.seconds: dict[int, float] = {}
        self.elapsed = 0.0
        self._resume(folder)

    def _resume(self, folder: Path) -> None:
        """Take over what the attempt before has left, if there was one."""
        earlier = sorted(path for path in folder.glob("attempt-*") if path.name < self.path.name)
        for path in reversed(earlier):
            if (path / ROWS).is_file():
                shutil.copytree(path, self.path, dirs_exist_ok=True)
                break
        for path in earlier:
            shutil.rmtree(path, ignore_errors=True)
        for name in ("chunk", "artifacts"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        whole = self._whole_chunks()
        (self.path / ROWS).write_bytes(b"".join(whole))
        taken = read_json(self.path / "seconds.json")
        if taken is not None:
            self.seconds = {int(one): float(spent) for one, spent in taken["attacks"].items()}
            self.elapsed = float(taken["elapsed"])

    def _whole_chunks(self) -> list[bytes]:
        lines: list[bytes] = []
        try:
            texts = (self.path / ROWS).read_bytes().splitlines(True)
            for index, text in zip(self.clips, texts, strict=False):
                row = AuditRow.model_validate_json(text)
                if row.index != index or not text.endswith(b"\n"):
                    break
                lines.append(text)
        except (FileNotFoundError, ValidationError):
            pass
        whole = len(lines) // self.chunk * self.chunk
        return lines if len(lines) == len(self.clips) else lines[:whole]

    def rows(self) -> Iterator[AuditRow]:
        """All that are written, one after the other."""
        with (self.path / ROWS).open("rb") as file:
            for text in file:
                yield AuditRow.model_validate_json(text)

    # The chunk under way.

    def clean(self, chunk: int) -> dict[int, ClipPrediction] | None:
        """Its clean predictions, by index; None if they are not made yet."""
        found = self._unit(chunk, "clean")
        return None if found is None else _Clean.validate_python(found["clips"])

    def save_clean(self, chunk: int, clean: dict[int, ClipPrediction]) -> None:
        """Keep them."""
        self._save_unit(chunk, "clean", _Clean.dump_python(clean, mode="json"))

    def point(self, chunk: int, number: int) -> dict[int, AttackedPrediction] | None:
        """What was found at the point of that number, by index; None if it is not made yet."""
        found = self._unit(chunk, f"point-{number:03d}")
        return None if found is None else _Point.validate_python(found["clips"])

    def save_point(
        self, chunk: int, number: int, point: ScoredPoint, seconds: float, *, inputs: bool
    ) -> None:
        """Keep it, with what was scored if ``inputs``."""
        name = f"point-{number:03d}"
        if inputs:
            tensors = {str(index): _compact(x) for index, x in point.inputs.items()}
            save_file(tensors, self.path / "chunk" / f"{name}.safetensors")
        self._save_unit(chunk, name, _Point.dump_python(point.outcomes, mode="json"))
        self.seconds[point.attack] = self.seconds.get(point.attack, 0.0) + seconds

    def minimum(self, chunk: int, attack: int) -> dict[int, SmallestStrength] | None:
        """The smallest strengths of an attack, by index; None if they are not made yet."""
        found = self._unit(chunk, f"minimum-{attack:03d}")
        return None if found is None else _Minimum.validate_python(found["clips"])

    def save_minimum(
        self, chunk: int, attack: int, found: dict[int, SmallestStrength], seconds: float
    ) -> None:
        """Keep them."""
        self._save_unit(chunk, f"minimum-{attack:03d}", _Minimum.dump_python(found, mode="json"))
        self.seconds[attack] = self.seconds.get(attack, 0.0) + seconds

    def finish_chunk(
        self,
        rows: Sequence[AuditRow],
        shown: Iterable[int],
        elapsed: float,
        at_one_point: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        """Write a chunk's rows, and keep of its inputs and of earlier ones those to be shown.

        Args:
            shown: clips to be shown, by index.
            elapsed: see :class:`Record`.
            at_one_point: clips of which the inputs at one point will do, and its number.
        """
        wanted = set(shown)
        for row in rows:
            if row.index in wanted:
                self._keep_inputs(row.index)
            elif row.index in at_one_point:
                self._keep_inputs(row.index, at_one_point[row.index])
        for path in (self.path / "artifacts").iterdir():
            if int(path.stem) not in wanted and int(path.stem) not in at_one_point:
                path.unlink()
        with (self.path / ROWS).open("ab") as file:
            file.writelines(row.model_dump_json().encode() + b"\n" for row in rows)
        self.elapsed = elapsed
        taken = {"attacks": self.seconds, "elapsed": elapsed}
        write_json(self.path / "seconds.json", taken)
        for path in (self.path / "chunk").iterdir():
            path.unlink()

    def inputs(self, index: int) -> dict[int, Tensor]:
        """What was scored of a clip that is shown, by the number of the point."""
        path = self.path / "artifacts" / f"{index:06d}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                return {int(name): _expanded(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return {}

    def _keep_inputs(self, index: int, point: int | None = None) -> None:
        kept: dict[str, Tensor] = {}
        name = "point-*" if point is None else f"point-{point:03d}"
        for path in sorted((self.path / "chunk").glob(f"{name}.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    if str(index) in file.keys():  # noqa: SIM118 (not a dict)
                        kept[path.stem.removeprefix("point-")] = file.get_tensor(str(index))
            except SafetensorError:  # torn by a kill: its point has no .json and was made again
                continue
        save_file(
            {str(int(name)): value for name, value in kept.items()},
            self.path / "artifacts" / f"{index:06d}.safetensors",
        )

    def _unit(self, chunk: int, name: str) -> dict[str, Any] | None:
        found = read_json(self.path / "chunk" / f"{name}.json")
        # After a kill between rows and clean-up, units of the chunk before may lie there.
        return found if found is not None and found["chunk"] == [chunk, self.chunk] else None

    def _save_unit(self, chunk: int, name: str, clips: Any) -> None:
        write_json(
            self.path / "chunk" / f"{name}.json", {"chunk": [chunk, self.chunk], "clips": clips}
        )


def _compact(x: Tensor) -> Tensor:
    """A waveform in the steps that it was rounded to, if it was; all else as it is."""
    if x.ndim > 1:
        return x.contiguous()
    steps = (x / STEP).round()
    if not torch.equal(steps * STEP, x):  # a corrupted recording is not rounded
        return x.contiguous()
    held = bool(within_full_scale(x).all())  # a resampled clip may overshoot what 16 bits hold
    return steps.to(torch.int16 if held else torch.int32)


def _expanded(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.float() * STEP


def read_json(path: Path) -> dict[str, Any] | None:
    """What `write_json` wrote; None if it is not there, or was torn."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


def write_json(path: Path, value: Any) -> None:
    """Whole, or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(value), encoding="utf-8")
    draft.replace(path)
