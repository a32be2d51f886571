"""The memory of an audit of many clips against that of few: clips stream, so it hardly grows.

Each audit is a whole job in a process of its own, from the row that is claimed to the report that
is published; its peak is what the kernel says of that process. It draws no pictures: those take a
hundred megabytes for a moment, however many clips there are, and would hide what grows. The corpus
has no recordings: features of 2.5 s a clip stand for them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from redis import Redis
from torch import Tensor

from app.audits.schemas import AuditRequest
from app.corpora.tables import Corpus
from app.jobs import service as jobs
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.migrations import upgrade
from app.persistence.ids import new_id
from app.registry import service as registry
from app.settings import Settings
from models.architectures import ARCHITECTURES, SpectrogramNet
from models.checkpoint import ModelConfig
from models.corpus.features import FeatureWriter, write_description
from models.corpus.manifest import Clip, Manifest
from models.features import MELS
from workers.audits import audit_job
from workers.audits.artifacts import Pictures
from workers.audits.exhibit_pictures import VIEWS, Picture
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Watchdog

FEW, MANY = 500, 5_000
BAR: Final = 1.15
EMOTIONS: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
FRAMES: Final = 155
"""2.5 s."""
WINDOW: Final = 187
ATTACKS: Final = [
    {"type": "fgsm", "epsilon": [0.02, 0.1]},
    {"type": "noise", "epsilon": [0.02, 0.1]},
]
ARCHITECTURE: Final = "mean-frame"
NO_PICTURES: Final = Pictures(
    pair=lambda *_, **__: b"",
    curves=lambda *_, **__: b"",
    exhibit=lambda _: dict.fromkeys(VIEWS, Picture(b"", b"")),
)


@ARCHITECTURES.register(ARCHITECTURE)
class MeanFrame(SpectrogramNet):
    """A linear layer on the mean frame: no network hides what an audit itself needs."""

    embedding_size = MELS

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier = torch.nn.Linear(MELS, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        """See :class:`SpectrogramNet`."""
        return images.mean(dim=(1, 2))


def measure() -> list[dict[str, Any]]:
    """Peak of an audit of 5,000 clips over that of one of 500."""
    few, many = (audited(clips) for clips in (FEW, MANY))
    return [
        {
            "name": f"peak memory of an audit of {MANY} clips against one of {FEW}",
            "value": many["mib"] / few["mib"],
            "bar": BAR,
            "better": "lower",
            "note": f"{many['mib']:.0f} MiB in {many['seconds']:.0f} s against {few['mib']:.0f} MiB"
            f" in {few['seconds']:.0f} s; {few['before']:.0f} MiB before the audits begin",
        }
    ]


def audited(clips: int) -> dict[str, float]:
    """What :func:`main` says of an audit of so many clips."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.audit_memory", folder, str(clips)]
        for step in ("prepare", "audit"):
            done = subprocess.run([*command, step], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def opened(folder: Path) -> WorkerContext:
    """Where the audit is run: SQLite, and a queue that nobody asks for anything."""
    settings = Settings(data_dir=folder, database_url_setting=None, device="cpu")
    return WorkerContext.open(settings, Redis())


def prepare(context: WorkerContext, clips: int) -> None:
    """Put a model, a corpus and a queued audit into the service."""
    context.storage.prepare()
    upgrade(context.settings.database_url)
    with context.sessions() as session:
        corpus = add_corpus(context, clips)
        config = ModelConfig(ARCHITECTURE, EMOTIONS, (0.0,) * MELS, (1.0,) * MELS, frames=WINDOW)
        torch.manual_seed(0)
        net = MeanFrame(len(EMOTIONS)).eval()
        model = registry.publish(
            session, context.storage, net, config, owner="local", name=ARCHITECTURE
        )
        request = AuditRequest.model_validate(
            {"model": model.id, "corpus": corpus.id, "attacks": ATTACKS}
        )
        session.add(corpus)
        asked = Submission(JobKind.AUDIT, "local", request.to_request(), model=model.id)
        jobs.insert(session, asked, job_id=audit_id(context))
        session.commit()


def add_corpus(context: WorkerContext, clips: int, splits: Sequence[str] = ("test",)) -> Corpus:
    """A corpus of noise, as an import would leave it, of 50 speakers in so many partitions."""
    corpus_id = new_id("corpus")
    folder = context.storage.corpus_dir(corpus_id)
    folder.mkdir(parents=True)
    listed = Manifest(
        tuple(
            Clip(
                f"{n}.wav",
                f"s{n % 50}",
                "f",
                EMOTIONS[n // len(splits) % 6],
                "",
                FRAMES * 0.016,
                splits[n % 50 % len(splits)],
            )
            for n in range(clips)
        )
    )
    draws = torch.Generator().manual_seed(0)
    with FeatureWriter(folder) as writer:
        for _ in range(clips):
            writer.append([FRAMES], torch.randn(FRAMES, MELS, generator=draws).numpy().tobytes())
        writer.finish()
    write_description(folder, listed, ())
    counts = listed.counts("emotion")
    return Corpus(
        id=corpus_id,
        owner="local",
        name="noise",
        format="index",
        clips=clips,
        classes=counts,
        speakers=len(listed.speakers),
        partitions={
            split: {
                "clips": len(part := listed.split(split)),
                "speakers": len(part.speakers),
                "classes": part.counts("emotion"),
            }
            for split in listed.splits
        },
    )


def audit_id(context: WorkerContext) -> str:
    """Of the only audit: the same in both processes."""
    path = context.settings.data_dir / "audit"
    if not path.exists():
        path.write_text(new_id("audit"))
    return path.read_text()


def audit(context: WorkerContext) -> dict[str, float]:
    """Run it, and say what it took."""
    before = peak_mib()
    attempt = claim(context.sessions, audit_id(context))
    if attempt is None:
        raise RuntimeError("the audit is not queued")
    began = time.perf_counter()
    with Watchdog(attempt, time_limit_seconds=3600) as watchdog:
        outcome = audit_job.perform(context, attempt, watchdog, pictures=NO_PICTURES)
        watchdog.finish()
        attempt.succeed(outcome.result)
    seconds = time.perf_counter() - began
    return {"mib": peak_mib(), "before": before, "seconds": seconds, "n": outcome.result["n"]}


def peak_mib() -> float:
    """The most memory that this process has had.

    Not ``ru_maxrss``: that of a process counts what its parent had when it was started.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(folder: str, clips: str, step: str) -> None:
    """One step in a process of its own."""
    context = opened(Path(folder))
    if step == "prepare":
        prepare(context, int(clips))
    else:
        print(json.dumps(audit(context)))
    context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
