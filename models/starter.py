"""Make the starter models from CREMA-D: ``python -m models.starter --corpus FOLDER``.

Four CNN-4 networks: without a defence, with those of the paper, and trained on PGD. Until
adversarial data enter, every defence trains without, so the runs share their first iterations, and
the others continue from a checkpoint of the first. A stopped run goes on where it was, and what
belongs to another corpus or to another plan is not taken up.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch import Tensor

from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.checkpoint import WEIGHTS, ModelConfig, halved, save_model
from models.corpus.index import INDEX_NAME, read_index
from models.corpus.manifest import Manifest
from models.corpus.sampling import stratified
from models.corruptions import parse
from models.corruptions.silence import PLACES
from models.defenses.pgd import PgdTraining
from models.defenses.similarity import Similarity
from models.defenses.vanilla import Vanilla
from models.evaluation import evaluate
from models.front_ends import FRONT_ENDS
from models.memory import keep_freed_memory
from models.metrics import uar
from models.natural_changes import changes, label
from models.provenance import Provenance
from models.starter_card import EPSILONS, card
from models.starter_corpus import Corpus, read_corpus, read_each
from models.training import Step, TrainingState, train
from models.training_plan import TrainingPlan
from models.victims import SpectrogramVictim

PRETRAINED: Final = Path(__file__).parent / "pretrained"
CHECKPOINT_EVERY: Final = 50
SCORED: Final = ("dev", "test")
PGD_CLIPS: Final = 200
"""Of test, with test's own mixture of emotions: ten steps cost forty times what FGSM does."""

NATURE: Final = tuple(
    map(
        parse,
        (
            *({"type": "silence", "seconds": [0.3], "where": place} for place in PLACES),
            {"type": "gain", "db": [-26, 6]},
            {"type": "dither", "lsb": [4, 16]},
            {"type": "noise", "snr_db": [40, 30, 20]},
            {"type": "band", "rate_hz": [8_000]},
            {"type": "codec", "name": "mulaw"},
        ),
    )
)
"""What the cards tell of."""

VARIED: Final = (
    {"type": "reverb", "rt60_seconds": [0.2, 0.4, 0.6, 0.8]},
    {"type": "silence", "seconds": [0.05, 0.1, 0.2, 0.3, 0.5, 0.8]},
    {"type": "band", "rate_hz": [8_000]},
    {"type": "codec", "name": "mulaw"},
    {"type": "noise", "snr_db": [10, 15, 20, 25, 30, 35, 40]},
    {"type": "noise", "color": "pink", "snr_db": [10, 15, 20, 25, 30, 35, 40]},
    {"type": "noise", "color": "babble", "snr_db": [10, 15, 20, 25, 30]},
    {"type": "clipping", "share": [0.02, 0.05, 0.1, 0.2]},
    {"type": "gain", "db": [-30, -20, -10, 6, 12]},
    {"type": "dither", "lsb": [1, 4, 16, 32]},
)
"""What recordings go through until somebody's microphone, room and telephone are known."""

SINGLE: Final = TrainingPlan(
    architecture="cnn4",
    n_classes=6,
    epsilon=0.04,
    iterations=2_600,
    adversarial_from=2_200,
    decay=0.95,
    cooldown=400,
    # 3 s: five of six clips of CREMA-D are shorter, and an iteration takes half as long as on
    # the paper's 373 frames.
    frames=187,
    front_end="logmel-2",
    augment=tuple(map(parse, VARIED)),
    augment_share=0.2,
    precision="bfloat16",
    seed=1,
)
STARTERS: Final = {
    "cnn4-single-cremad": SINGLE,
    "cnn4-vanilla-cremad": SINGLE.changed(defense=Vanilla(), attack=Fgsm(clip=0.1)),
    "cnn4-similarity-cremad": SINGLE.changed(defense=Similarity(), attack=Fgsm(clip=0.1)),
    "cnn4-pgd-cremad": SINGLE.changed(defense=PgdTraining(steps=4, step=0.4)),
}

MAJORITY: Final = "the clips whose majority audio-visual vote equals the acted emotion"
SELECTIONS: Final = {
    "a071fefa35b2bf6930e484f77af402a4925ced22c5fff7be113312e620224fc8": MAJORITY,
}
"""How the clips of an index were chosen, which it does not say itself, by its SHA-256."""


def run(name: str, plan: TrainingPlan, corpus: Corpus, device: str) -> TrainingState:
    """Train one starter, or go on with it, and keep its checkpoints in the corpus' folder.

    Raises:
        CheckpointError: the model could not be published: its labels or statistics are refused.
        FloatingPointError: the run diverged.
    """
    configuration(plan, corpus, device)
    state = TrainingState(plan, device)
    checkpoint, shared = (corpus.work / f"{each}.safetensors" for each in (name, "clean-phase"))
    _go_on(state, checkpoint, shared)
    started = time.monotonic()

    def on_step(step: Step) -> None:
        if step.iteration == plan.adversarial_from and not step.adversarial:
            state.save(shared)
        if step.iteration % CHECKPOINT_EVERY == 0 or step.iteration == plan.iterations:
            state.save(checkpoint)
            seconds = time.monotonic() - started
            print(
                f"{name}: {step.iteration}/{plan.iterations} loss {step.loss:.3f} {seconds:.0f} s"
            )

    heard = corpus.heard(plan)
    train(state, heard.train.to(device), heard.standardizer.to(device), on_step)
    return state


def _go_on(state: TrainingState, *checkpoints: Path) -> None:
    """Load the first checkpoint that is of this run; without one it begins afresh."""
    for path in checkpoints:
        if not path.exists():
            continue
        try:
            state.load(path)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
            print(f"{path.name} is left aside: {str(error)[:200]}")
        else:
            return


def measure(
    state: TrainingState, corpus: Corpus, device: str, foreign: Path | None = None
) -> dict[str, Any]:
    """UAR on dev and test, clean and under FGSM with true labels; on some of test also under PGD,
    and on all of it what becomes of the labels when something happens to the recordings.

    Args:
        foreign: folder of another corpus, whose name is that of its figures; None for none.
    """
    heard = corpus.heard(state.plan)
    labels = heard.splits["test"].labels
    some = stratified(labels, PGD_CLIPS)
    metrics = {name: _under(Fgsm(), "fgsm_uar", state, corpus, device, name) for name in SCORED}
    metrics["test"]["pgd"] = _under(Pgd(steps=10), "pgd_uar", state, corpus, device, "test", some)
    victim = SpectrogramVictim(
        state.net,
        heard.standardizer.to(device),
        corpus.labels,
        state.plan.frames,
        front_end=state.plan.front_end,
    )
    after = changes(victim, corpus.recordings["test"], labels.tolist(), NATURE, state.plan.seed)
    metrics["test"]["corruptions"] = [change.to_dict() for change in after]
    if foreign is not None:
        metrics[foreign.name] = _abroad(victim, foreign)
    return metrics


def _under(
    attack: Attack,
    name: str,
    state: TrainingState,
    corpus: Corpus,
    device: str,
    split: str,
    some: Tensor | None = None,
) -> dict[str, Any]:
    """UAR of a split, or of some of its clips, clean and attacked."""
    heard = corpus.heard(state.plan)
    data = heard.splits[split] if some is None else heard.splits[split].subset(some)
    found = evaluate(
        state.net,
        heard.standardizer.to(device),
        corpus.labels,
        data.to(device),
        frames=state.plan.frames,
        attack=attack,
        strengths=EPSILONS,
    )
    uars = {f"{epsilon:g}": round(one, 4) for epsilon, one in found.attacked.items()}
    return {"clips": len(data), "clean_uar": round(found.clean, 4), name: uars}


def _abroad(victim: SpectrogramVictim, folder: Path) -> dict[str, Any]:
    """UAR on another corpus, on its clips of the emotions that both have."""
    manifest = read_index((folder / INDEX_NAME).read_bytes())
    clips = Manifest(tuple(clip for clip in manifest if clip.emotion in victim.labels))
    truth = torch.tensor([victim.labels.index(clip.emotion) for clip in clips])
    answers = torch.stack([label(victim, read()) for read in read_each(clips, folder)])
    found = uar(truth, answers.cpu(), len(victim.labels))
    return {"clips": len(clips), "speakers": len(clips.speakers), "clean_uar": round(found, 4)}


def configuration(plan: TrainingPlan, corpus: Corpus, device: str) -> ModelConfig:
    """Everything but weights and metrics of a starter.

    Raises:
        CheckpointError: no model may have these labels or statistics.
    """
    standardizer = corpus.heard(plan).standardizer
    provenance = Provenance(
        corpus="CREMA-D",
        selection=SELECTIONS.get(corpus.index_sha256, "the clips that its index names"),
        index_sha256=corpus.index_sha256,
        sample_rates_hz=list(corpus.sample_rates_hz),
        clips=corpus.clips,
        speakers=corpus.speakers,
        public_speakers=corpus.trained_on,
        recipe=plan.recipe,
        torch=torch.__version__,
        device=torch.device(device).type,
    )
    return ModelConfig(
        architecture=plan.architecture,
        labels=corpus.labels,
        mean=tuple(standardizer.mean.tolist()),
        std=tuple(standardizer.std.tolist()),
        frames=plan.frames,
        front_end=plan.front_end,
        defense=plan.defense.model_dump(mode="json"),
        training=provenance.to_dict(),
        levels_dbfs=FRONT_ENDS[plan.front_end].levels_dbfs or corpus.levels_dbfs,
    )


def publish(
    name: str,
    state: TrainingState,
    corpus: Corpus,
    metrics: dict[str, Any],
    destination: Path = PRETRAINED,
) -> None:
    """Write weights, configuration and model card into a folder of that name."""
    device = next(state.net.parameters()).device.type
    config = replace(configuration(state.plan, corpus, device), metrics=metrics)
    folder = destination / name
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = save_model(folder, state.net, config, half=True)
    (folder / "SHA256SUMS").write_text(f"{sha256}  {WEIGHTS}\n")
    (folder / "README.md").write_text(card(name, config, sha256))


def main() -> None:
    """Train, measure and publish every starter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of CREMA-D, index.csv")
    parser.add_argument("--work", type=Path, default=Path("data/starter"), help="for checkpoints")
    parser.add_argument("--foreign", type=Path, help="folder of a corpus that is only tested on")
    parser.add_argument("--only", choices=STARTERS, help="one of them; all if not given")
    parser.add_argument("--into", type=Path, default=PRETRAINED, help="where the models are put")
    arguments = parser.parse_args()
    keep_freed_memory()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    device = "cuda" if torch.cuda.is_available() else "cpu"
    corpus = read_corpus(arguments.corpus, arguments.work)
    for name, plan in STARTERS.items():
        if arguments.only not in (None, name):
            continue
        state = run(name, plan, corpus, device)
        halved(state.net)
        metrics = measure(state, corpus, device, arguments.foreign)
        publish(name, state, corpus, metrics, arguments.into)
        print(f"{name}: {json.dumps(metrics)}")


if __name__ == "__main__":
    main()
