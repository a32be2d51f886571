"""Train a network from a folder of features, without a service, by one process or by several.

    python -m models.train --features FOLDER --recipe RECIPE.json --out FOLDER
    torchrun --nproc-per-node 4 -m models.train --features FOLDER --recipe RECIPE.json --out FOLDER

The features are those of an imported corpus (``features.safetensors`` and ``index.csv``), the
recipe is `models.training_plan.Recipe` as JSON. ``OUT`` gets the model, and meanwhile a checkpoint,
from which the same command goes on. The first process alone writes. See
docs/distributed-training.md.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from models.checkpoint import ModelConfig, save_model
from models.corpus import public_speakers
from models.corpus.features import FeatureSet
from models.corpus.manifest import CorpusError, Manifest
from models.features import Standardizer
from models.front_ends import FRONT_ENDS
from models.memory import keep_freed_memory
from models.provenance import Provenance, speaker_hashes
from models.ranks import ALONE, Ranks, joined
from models.training import Step, TrainingState, train
from models.training_plan import Recipe

CHECKPOINT: Final = "checkpoint.safetensors"
CHECKPOINT_SECONDS: Final = 30.0


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit status. A fault of what was given is one line on stderr."""
    given = _parser().parse_args(arguments)
    keep_freed_memory()
    try:
        recipe = Recipe.model_validate_json(given.recipe.read_bytes())
        run(given.features, recipe, given.out, given.device)
    except (CorpusError, OSError, ValidationError, ValueError, ArithmeticError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())[:1000]}\n")
        return 1
    return 0


def run(features: Path, recipe: Recipe, out: Path, device: str = "cpu") -> None:
    """Train on the partition ``train``, or go on with it, and write the model.

    Args:
        features: a folder that `models.corpus.extraction.extract` has written.
        recipe: how to train; with its ``front_end``, because a training of the service that names
            none has another one than a recipe that names none. Without ``augment``, which needs
            recordings, and without ``on_overfitting``, which needs evaluations.
        out: a folder, made if it is not there.
        device: "cpu", or "cuda": then each process takes the GPU of its number.

    Raises:
        CorpusError: the features cannot be read, or have no ``train``.
        ValueError: the recipe cannot be carried out, or the checkpoint is of another training.
        FloatingPointError: the training diverged.
        OSError: something cannot be written.
    """
    _check(recipe)
    corpus = FeatureSet.load(features)
    clips = corpus.manifest.split("train")
    data = corpus.dataset(clips.emotions, "train")[1].through(FRONT_ENDS[recipe.front_end])
    standardizer = data.standardizer()
    where = _device(device)
    state = TrainingState(recipe.plan(len(clips.emotions)), where)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        try:
            state.load(checkpoint)
        except SafetensorError as error:
            raise ValueError(f"{checkpoint} is damaged: {error}; remove it") from error
    with _together(state) as ranks:
        reports = ranks.rank == 0
        if reports:
            out.mkdir(parents=True, exist_ok=True)
        train(
            state,
            data.to(where),
            standardizer.to(where),
            _saving(state, checkpoint) if reports else _nobody,
            emotions=clips.emotions,
            ranks=ranks,
        )
    if reports:
        save_model(out, state.net, _config(recipe, clips, standardizer, where))
        checkpoint.unlink(missing_ok=True)


def _check(recipe: Recipe) -> None:
    """Refuse what is not done here, rather than train something else than was asked for.

    Raises:
        ValueError: naming the field.
    """
    if "front_end" not in recipe.model_fields_set:
        raise ValueError(f"front_end is missing: give one of {', '.join(FRONT_ENDS)}")
    if recipe.augment:
        raise ValueError(
            "augment varies recordings, and a folder of features has none: leave it out"
        )
    if recipe.on_overfitting != "warn":
        raise ValueError(
            f"on_overfitting is {recipe.on_overfitting}, but nothing is evaluated here to find"
            " overfitting by: leave it out"
        )


def _config(
    recipe: Recipe, clips: Manifest, standardizer: Standardizer, device: torch.device
) -> ModelConfig:
    provenance = Provenance(
        public_speakers=public_speakers(clips),
        speakers_sha256=speaker_hashes(clips),
        recipe=recipe,
        torch=torch.__version__,
        device=device.type,
    )
    return ModelConfig(
        architecture=recipe.architecture,
        labels=clips.emotions,
        mean=tuple(standardizer.mean.tolist()),
        std=tuple(standardizer.std.tolist()),
        frames=recipe.frames,
        front_end=recipe.front_end,
        defense=recipe.defense.model_dump(mode="json"),
        training=provenance.to_dict(),
    )


def _device(name: str) -> torch.device:
    if name != "cuda":
        return torch.device(name)
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _together(state: TrainingState) -> Iterator[Ranks]:
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun sets it
        yield ALONE
        return
    with joined(state.net) as ranks:
        yield ranks


def _saving(state: TrainingState, checkpoint: Path) -> Callable[[Step], None]:
    """Saves now and then, and says how far the training is."""
    saved = time.monotonic()

    def on_step(step: Step) -> None:
        nonlocal saved
        total = state.plan.iterations
        if time.monotonic() - saved >= CHECKPOINT_SECONDS or step.iteration == total:
            state.save(checkpoint)
            saved = time.monotonic()
            sys.stdout.write(f"{step.iteration}/{total} loss {step.loss:.3f}\n")
            sys.stdout.flush()

    return on_step


def _nobody(step: Step) -> None:
    """The first process watches for all."""


def _parser() -> argparse.ArgumentParser:
    told = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="models.train", description=told)
    parser.add_argument("--features", type=Path, required=True, help="folder of an imported corpus")
    parser.add_argument("--recipe", type=Path, required=True, help="a recipe as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser


if __name__ == "__main__":
    sys.exit(main())
