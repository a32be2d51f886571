"""Make the starter models from CREMA-D: ``python -m models.starter --corpus FOLDER``.

Two CNN-4 networks, one without and one with the similarity defence. Until adversarial data enter,
every defence trains on clean data alone, so the two runs share their first iterations and the
second continues from a checkpoint of the first. A stopped run goes on where it was, and what
belongs to another corpus or to another plan is not taken up.
"""

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from models.attacks.fgsm import Fgsm
from models.audio import level_range
from models.checkpoint import CONFIG, WEIGHTS, ModelConfig, save_model
from models.corpus import public_speakers
from models.corpus.conditions import read_conditions
from models.corpus.dataset import Dataset
from models.corpus.extraction import extract
from models.corpus.features import FeatureSet
from models.corpus.index import INDEX_NAME, read_index
from models.corpus.manifest import Clip, CorpusError, Manifest
from models.corpus.partition import check_disjoint
from models.defenses.similarity import Similarity
from models.evaluation import evaluate
from models.features import HOP, SAMPLE_RATE, WINDOW, Standardizer, mel_filter_bank
from models.memory import keep_freed_memory
from models.provenance import Provenance
from models.training import Step, TrainingState, train
from models.training_plan import Recipe, TrainingPlan

PRETRAINED: Final = Path(__file__).parent / "pretrained"
EPSILONS: Final = (0.02, 0.04, 0.1)
CHECKPOINT_EVERY: Final = 50

SINGLE: Final = TrainingPlan(
    architecture="cnn4",
    n_classes=6,
    epsilon=0.02,
    iterations=1_200,
    adversarial_from=1_000,
    # On dev, the last 150 iterations bring UAR from .54 to .68.
    cooldown=150,
    # 3 s: five of six clips of CREMA-D are shorter, and an iteration takes half as long as on
    # the paper's 373 frames.
    frames=187,
    seed=1,
)
SIMILARITY: Final = SINGLE.changed(defense=Similarity(), attack=Fgsm(clip=0.1), iterations=1_250)
STARTERS: Final = {"cnn4-single-cremad": SINGLE, "cnn4-similarity-cremad": SIMILARITY}

MAJORITY: Final = "the clips whose majority audio-visual vote equals the acted emotion"
SELECTIONS: Final = {
    "a071fefa35b2bf6930e484f77af402a4925ced22c5fff7be113312e620224fc8": MAJORITY,
}
"""How the clips of an index were chosen, which it does not say itself, by its SHA-256."""


@dataclass(frozen=True)
class Corpus:
    """CREMA-D, partitioned, as the networks see it.

    Attributes:
        labels: emotions in the order of the outputs.
        splits: train, dev and test.
        clips, speakers: how many, by split.
        trained_on: whose speech is learnt from, see `models.corpus.public_speakers`.
        index_sha256: of ``index.csv``, hexadecimal.
        sample_rates_hz: of the recordings, ascending.
        levels_dbfs: active levels of train, see `models.audio.level_range`.
        work: folder of this corpus' features and checkpoints.
    """

    labels: tuple[str, ...]
    splits: dict[str, Dataset]
    clips: dict[str, int]
    speakers: dict[str, int]
    trained_on: dict[str, list[str]]
    index_sha256: str
    sample_rates_hz: tuple[int, ...]
    levels_dbfs: tuple[float, float] | None
    work: Path

    @property
    def standardizer(self) -> Standardizer:
        """The z-score of the training split."""
        return self.splits["train"].standardizer()


def read_corpus(folder: Path, work: Path) -> Corpus:
    """Read or make the features of the corpus in ``folder``.

    They are kept below ``work`` under the hash of its index: another index is another corpus.

    Raises:
        CorpusError: the corpus cannot be read, or its partitions share speakers.
    """
    index = (folder / INDEX_NAME).read_bytes()
    manifest = read_index(index)
    check_disjoint(manifest)
    sha256 = hashlib.sha256(index).hexdigest()
    work = work / sha256[:16]
    work.mkdir(parents=True, exist_ok=True)
    features = _features(manifest, folder, work)
    labels = features.manifest.emotions
    splits = {name: features.dataset(labels, name) for name in ("train", "dev", "test")}
    return Corpus(
        labels,
        {name: data for name, (_, data) in splits.items()},
        {name: len(clips) for name, (clips, _) in splits.items()},
        {name: len(clips.speakers) for name, (clips, _) in splits.items()},
        public_speakers(splits["train"][0]),
        sha256,
        _sample_rates(features.manifest, folder),
        training_levels(features.manifest, work),
        work,
    )


def _features(manifest: Manifest, folder: Path, work: Path) -> FeatureSet:
    """Those that are kept, if they are of these very clips and labels; else made anew."""
    try:
        kept = FeatureSet.load(work)
    except CorpusError:
        return extract(manifest, folder, work)
    skipped = {clip.path for clip in kept.skipped}
    expected = [_undated(clip) for clip in manifest if clip.path not in skipped]
    same = [_undated(clip) for clip in kept.manifest] == expected
    if same and read_conditions(work, len(expected)) is not None:
        return kept
    return extract(manifest, folder, work)


def training_levels(manifest: Manifest, folder: Path) -> tuple[float, float] | None:
    """Between which active levels the training clips lie, see `models.audio.level_range`.

    Args:
        folder: of the features of these clips.
    """
    conditions = read_conditions(folder, len(manifest))
    if conditions is None:
        return None
    return level_range(
        condition.level_dbfs
        for clip, condition in zip(manifest, conditions, strict=True)
        if clip.split == "train"
    )


def _undated(clip: Clip) -> Clip:
    """Without the duration, which an index may round and the features have measured."""
    return replace(clip, duration_s=0.0)


def _sample_rates(manifest: Manifest, folder: Path) -> tuple[int, ...]:
    import soundfile

    return tuple(sorted({soundfile.info(folder / clip.path).samplerate for clip in manifest}))


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

    train(state, corpus.splits["train"].to(device), corpus.standardizer.to(device), on_step)
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


def measure(state: TrainingState, corpus: Corpus, device: str) -> dict[str, Any]:
    """UAR on dev and test, clean and under FGSM with true labels."""
    metrics: dict[str, Any] = {}
    for split in ("dev", "test"):
        found = evaluate(
            state.net,
            corpus.standardizer.to(device),
            corpus.labels,
            corpus.splits[split].to(device),
            frames=state.plan.frames,
            attack=Fgsm(),
            strengths=EPSILONS,
        )
        fgsm = {f"{epsilon:g}": round(uar, 4) for epsilon, uar in found.attacked.items()}
        metrics[split] = {"clean_uar": round(found.clean, 4), "fgsm_uar": fgsm}
    return metrics


def configuration(plan: TrainingPlan, corpus: Corpus, device: str) -> ModelConfig:
    """Everything but weights and metrics of a starter.

    Raises:
        CheckpointError: no model may have these labels or statistics.
    """
    standardizer = corpus.standardizer
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
        defense=plan.defense.model_dump(mode="json"),
        training=provenance.to_dict(),
        levels_dbfs=corpus.levels_dbfs,
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
    sha256 = save_model(folder, state.net, config)
    (folder / "SHA256SUMS").write_text(f"{sha256}  {WEIGHTS}\n")
    (folder / "README.md").write_text(card(name, config, sha256))


def card(name: str, config: ModelConfig, sha256: str) -> str:
    """The model card: what it is, what it was made from, how well it holds."""
    run = Provenance.of(config)
    recipe = run.recipe
    if recipe is None:
        raise ValueError(f"{name} does not say how it was trained: there is nothing for a card")
    rows = "\n".join(
        f"| {split} | {values['clean_uar']:.3f} | "
        + " | ".join(f"{values['fgsm_uar'][f'{epsilon:g}']:.3f}" for epsilon in EPSILONS)
        + " |"
        for split, values in config.metrics.items()
    )
    header = " | ".join(f"FGSM ε = {epsilon:g}" for epsilon in EPSILONS)
    seconds = ((config.frames - 1) * HOP + WINDOW) / SAMPLE_RATE
    return f"""# {name}

CNN-4 on log-mel spectrograms: one of {len(config.labels)} emotions ({", ".join(config.labels)})
for a clip of English speech. Defence: `{json.dumps(config.defense, sort_keys=True)}`.

| UAR | clean | {header} |
|---|---|---|---|---|
{rows}

Chance is {1 / len(config.labels):.3f}. ε counts standard deviations of a mel band; FGSM with the
true labels and without η, on the window that the network sees.

- **Data**: CREMA-D (Cao et al., IEEE Transactions on Affective Computing, 2014),
  {run.selection}, speaker-independent:
  {_counts(run)}.
  {_bandwidth(run.sample_rates_hz)}
- **Protocol**: `make starter`. Adam, learning rate {recipe.learning_rate:g} times {recipe.decay:g}
  every {recipe.decay_every} iterations and linearly to zero over the last {recipe.cooldown};
  {recipe.iterations:,} iterations of {recipe.batch_size} clips, seed {recipe.seed}.\
{_adversary(recipe)}{_where(run)}
  Trained on the training split alone; the last model, no selection. Clips are repeated or cut to
  {config.frames} frames ({seconds:.1f} s).
- **Front end**: 64 log-mel bands at 16 kHz, z-scored with the training split's statistics, which
  are part of `{CONFIG}`.
- **Use**: a starting point and a reference for audits. Acted speech of \
{sum(run.speakers.values())} speakers: do not judge
  people with it.
- **Licence**: weights Apache-2.0; the corpus is under the Open Database License 1.0, its contents
  are under the Database Contents License 1.0.
- **SHA-256** of `{WEIGHTS}`: `{sha256}`
"""


def _counts(run: Provenance) -> str:
    return ", ".join(
        f"{split} {run.clips[split]:,} clips of {run.speakers[split]} speakers"
        for split in ("train", "dev", "test")
    )


def _bandwidth(rates: list[int]) -> str:
    """What the recordings' sampling rates leave of the front end's bands."""
    named = " and ".join(f"{rate / 1000:g}" for rate in rates)
    ends = rates[-1] / 2
    bins = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    empty = int((mel_filter_bank()[bins <= ends].sum(dim=0) == 0).sum())
    text = f"Audio of {named} kHz"
    if not empty:
        return f"{text}."
    return (
        f"{text}, so nothing above {ends / 1000:.1f} kHz: the {empty} bands that lie wholly above\n"
        "  were z-scored on what resampling leaves there."
    )


def _adversary(recipe: Recipe) -> str:
    """What a defended training was attacked with."""
    if recipe.defense.inputs == "clean":
        return ""
    whose = "of its own" if recipe.defense.inputs == "own" else recipe.attack.describe()
    return (
        f"\n  Adversarial batches ({whose}, ε = {recipe.epsilon:g}) enter at iteration"
        f" {recipe.first_adversarial:,}."
    )


def _where(run: Provenance) -> str:
    """Where it ran, as far as that is known."""
    return "" if run.torch is None else f"\n  torch {run.torch} on {run.device}."


def main() -> None:
    """Train, measure and publish every starter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of CREMA-D, index.csv")
    parser.add_argument("--work", type=Path, default=Path("data/starter"), help="for checkpoints")
    parser.add_argument("--into", type=Path, default=PRETRAINED, help="where the models are put")
    arguments = parser.parse_args()
    keep_freed_memory()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    device = "cuda" if torch.cuda.is_available() else "cpu"
    corpus = read_corpus(arguments.corpus, arguments.work)
    for name, plan in STARTERS.items():
        state = run(name, plan, corpus, device)
        metrics = measure(state, corpus, device)
        publish(name, state, corpus, metrics, arguments.into)
        print(f"{name}: {json.dumps(metrics)}")


if __name__ == "__main__":
    main()
