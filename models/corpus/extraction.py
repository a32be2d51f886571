"""From the recordings of a corpus to its `FeatureSet`: decode, resample, log-mel.

The work is done by processes of their own, so that a service goes on answering meanwhile. They are
spawned, not forked: the parent may hold threads and a CUDA context. Blocks of clips go out over
pipes, and frames come back in the order of the manifest. A child ends with its parent.
"""

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, TypeAlias

import torch

from models.audio import MAX_SECONDS, AudioError, Condition, decode
from models.corpus.conditions import write_conditions
from models.corpus.features import FeatureSet, FeatureWriter, write_description
from models.corpus.manifest import Clip, CorpusError, Manifest, Skipped
from models.features import LogMel

# A minute of 64-bit stereo at 48 kHz has 46 MB.
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
# Large enough that the pipe costs nothing (0.1 s of work), small enough that two processes end
# together and that progress moves.
BLOCK_CLIPS: Final = 32
# To start a process costs as much as some 500 clips of 3 s, most of it the import of torch.
CLIPS_WORTH_A_PROCESS: Final = 500
# How long a call of on_progress, and with it a cancellation, may be overdue.
POLL_SECONDS: Final = 0.2

Progress = Callable[[int, int], None]
_Pipe: TypeAlias = "Connection[list[str], _Block]"  # the parent's end: paths go out, blocks come in


@dataclass(frozen=True, slots=True)
class _Read:
    """A clip that was read: its duration in seconds, its frames, and its condition."""

    duration_s: float
    frames: int
    condition: Condition


@dataclass(frozen=True, slots=True)
class _Block:
    """The outcome of some successive clips.

    Attributes:
        clips: one entry a clip, or the reason why it could not be read.
        frames: of all clips that were read, float32, (sum of frames, 64).
    """

    clips: tuple[_Read | Skipped, ...]
    frames: bytes

    @property
    def lengths(self) -> list[int]:
        """Frames of each clip that was read."""
        return [clip.frames for clip in self.clips if not isinstance(clip, Skipped)]


def extract(
    manifest: Manifest,
    audio: Path,
    folder: Path,
    *,
    processes: int | None = None,
    max_seconds: float = MAX_SECONDS,
    on_progress: Progress | None = None,
) -> FeatureSet:
    """Decode every clip and write its features into ``folder``.

    Args:
        manifest: the clips; their paths are relative to ``audio``.
        audio: folder of the recordings, WAV or FLAC.
        folder: where the files of the `FeatureSet` are written; it exists.
        processes: to use; None takes one for each core, none at all for a small corpus.
        max_seconds: longer clips are skipped.
        on_progress: called with the clips done and all clips, several times a second; an exception
            it raises ends the processes, removes the file and is passed on.

    Returns:
        The features. A clip that cannot be read is not among them: ``skipped`` says why.

    Raises:
        CorpusError: no clip at all could be read (code ``no_clips``), or a process died, e.g. for
            want of memory (``extraction_died``).
    """
    tell = on_progress or _ignore
    total = len(manifest)
    starts = range(0, total, BLOCK_CLIPS)
    tasks = [[clip.path for clip in manifest.clips[i : i + BLOCK_CLIPS]] for i in starts]
    count = _processes(total) if processes is None else processes
    worker = _Worker(audio, max_seconds)
    outcomes: list[_Read | Skipped] = []
    blocks = _spread(worker, tasks, count) if count else _one_by_one(worker, tasks)
    with closing(blocks), FeatureWriter(folder) as writer:
        for block in blocks:
            if block is not None:
                writer.append(block.lengths, block.frames)
                outcomes.extend(block.clips)
            tell(len(outcomes), total)
        kept, skipped = _sort_out(manifest, outcomes)
        writer.finish()
    write_description(folder, kept, skipped)
    conditions = [one.condition for one in outcomes if not isinstance(one, Skipped)]
    write_conditions(folder, conditions)
    return FeatureSet.load(folder)


def _ignore(done: int, total: int) -> None:
    """No one watches."""


def _processes(clips: int) -> int:
    """As many as there are cores and as the corpus is worth; 0: better here than elsewhere."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    worth = min(cores or 1, clips // CLIPS_WORTH_A_PROCESS)
    return worth if worth > 1 else 0


def _sort_out(
    manifest: Manifest, outcomes: Sequence[_Read | Skipped]
) -> tuple[Manifest, tuple[Skipped, ...]]:
    kept: list[Clip] = []
    skipped: list[Skipped] = []
    for clip, outcome in zip(manifest, outcomes, strict=True):
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
        else:
            kept.append(replace(clip, duration_s=outcome.duration_s))
    if not kept:
        first = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise CorpusError("no_clips", f"None of the {len(skipped)} clips could be read{first}")
    return Manifest(tuple(kept)), tuple(skipped)


class _Worker:
    """Turns paths into blocks, here or in a process of its own."""

    def __init__(self, audio: Path, max_seconds: float) -> None:
        self.audio = audio
        self.max_seconds = max_seconds

    def extract(self, paths: Sequence[str]) -> _Block:
        """Read these clips."""
        logmel = LogMel()
        clips: list[_Read | Skipped] = []
        frames: list[bytes] = []
        with torch.inference_mode():
            for path in paths:
                try:
                    waveform = decode(self._read(path), max_seconds=self.max_seconds)
                except AudioError as error:
                    clips.append(Skipped(path, str(error), error.code))
                    continue
                except OSError as error:
                    reason = f"The file cannot be read: {error.strerror}."
                    clips.append(Skipped(path, reason, "unreadable"))
                    continue
                features = logmel(torch.from_numpy(waveform.samples))
                clips.append(_Read(waveform.duration_s, len(features), Condition.of(waveform)))
                frames.append(features.numpy().astype("<f4", copy=False).tobytes())
        return _Block(tuple(clips), b"".join(frames))

    def _read(self, path: str) -> bytes:
        with (self.audio / path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise AudioError("too_long", f"The file has more than {MAX_FILE_BYTES} bytes.")
        return data

    def serve(self, pipe: "Connection[_Block, list[str]]") -> None:
        """Answer blocks of paths until the other end of the pipe is gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        threading.Thread(target=_end_with_parent, daemon=True).start()
        torch.set_num_threads(1)
        try:
            while True:
                pipe.send(self.extract(pipe.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _end_with_parent() -> None:
    """A parent that was killed cannot say so: do not finish the block for nobody."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _one_by_one(worker: _Worker, tasks: Sequence[list[str]]) -> Generator[_Block | None]:
    """The blocks of all tasks, made in this process."""
    for paths in tasks:
        yield worker.extract(paths)


def _spread(worker: _Worker, tasks: Sequence[list[str]], count: int) -> Generator[_Block | None]:
    """The blocks of all tasks in their order; None when nothing came for a while."""
    crew = [_start(worker) for _ in range(min(count, len(tasks)))]
    try:
        yield from _collect([pipe for _, pipe in crew], tasks)
    except (EOFError, ConnectionError):
        raise CorpusError(
            "extraction_died",
            "A process that decodes the clips died; the machine may lack memory. Try again.",
        ) from None
    finally:
        for process, pipe in crew:
            pipe.close()
            process.terminate()
        for process, _ in crew:
            process.join()


def _start(worker: _Worker) -> tuple[BaseProcess, _Pipe]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _collect(pipes: Sequence[_Pipe], tasks: Sequence[list[str]]) -> Generator[_Block | None]:
    waiting = iter(enumerate(tasks))
    busy: dict[_Pipe, int] = {}
    ready: dict[int, _Block] = {}
    following = 0
    idle = list(pipes)
    while following < len(tasks):
        for pipe, (number, paths) in zip(idle, waiting, strict=False):
            busy[pipe] = number
            pipe.send(paths)
        answered = wait(list(busy), POLL_SECONDS)
        idle = [pipe for pipe in busy if pipe in answered]
        for pipe in idle:
            ready[busy.pop(pipe)] = pipe.recv()
        if not idle:
            yield None
        while following in ready:
            yield ready.pop(following)
            following += 1
