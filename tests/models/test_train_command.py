"""`python -m models.train`: a model from a folder of features, alone or under torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from models import train as command
from models.checkpoint import load_model
from models.corpus.features import FeatureWriter, write_description
from models.corpus.manifest import Clip, Manifest
from models.features import MELS
from models.provenance import Provenance, speaker_hash
from models.training import Step, TrainingState, iteration_of
from models.training_plan import Recipe

pytestmark = pytest.mark.timeout(400)

RECIPE: dict[str, Any] = {
    "architecture": "cnn4",
    "defense": {"type": "vanilla"},
    "iterations": 2,
    "adversarial_from": 1,
    "batch_size": 4,
    "frames": 32,
    "front_end": "logmel-1",
}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of three emotions, of which each is noise of a loudness of its own."""
    folder = tmp_path_factory.mktemp("corpus")
    letters = {"anger": "W", "joy": "F", "sadness": "T"}  # of EMO-DB, whose speaker 03 it seems
    emotions = tuple(letters)
    clips = [
        Clip(
            f"03a01{letters[emotion]}{'abcd'[take]}.wav",
            f"speaker{take}",
            "f",
            emotion,
            "",
            0.6,
            "train",
        )
        for take in range(4)
        for emotion in emotions
    ]
    generator = torch.Generator().manual_seed(0)
    with FeatureWriter(folder) as writer:
        for clip in clips:
            frames = torch.randn(36, MELS, generator=generator) + emotions.index(clip.emotion)
            writer.append([36], frames.numpy().tobytes())
        writer.finish()
    write_description(folder, Manifest(tuple(clips)), ())
    return folder


def recipe(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps({**RECIPE, **changes}))
    return path


def arguments(features: Path, folder: Path, **changes: Any) -> list[str]:
    chosen = ("--recipe", str(recipe(folder, **changes)), "--out", str(folder / "out"))
    return ["--features", str(features), *chosen]


class TestTrain:
    def test_leaves_a_model_and_nothing_else(self, features: Path, tmp_path: Path) -> None:
        assert command.main(arguments(features, tmp_path)) == 0
        assert {path.name for path in (tmp_path / "out").iterdir()} == {
            "model.safetensors",
            "config.json",
        }
        _, config = load_model(tmp_path / "out")
        assert config.labels == ("anger", "joy", "sadness")
        known = Provenance.of(config)
        assert known.recipe == Recipe(**RECIPE)
        assert known.speakers_sha256 == sorted(speaker_hash(f"speaker{take}") for take in range(4))
        assert known.public_speakers == {"emodb": ["03"]}

    def test_by_two_processes_makes_the_model_of_one(self, features: Path, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        assert command.main(arguments(features, tmp_path / "one")) == 0
        root = str(Path(__file__).parents[2])
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc-per-node=2", "-m", "models.train"),
                *arguments(features, tmp_path / "two"),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert "2/2 loss" in ended.stdout
        one, two = (load_model(tmp_path / name / "out")[0] for name in ("one", "two"))
        for name, value in one.state_dict().items():
            # Adam's first steps are of the learning rate, whatever the size of a gradient.
            torch.testing.assert_close(two.state_dict()[name], value, rtol=0, atol=4e-3)

    def test_goes_on_from_its_checkpoint(
        self, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "out").mkdir()
        begun = TrainingState(Recipe(**RECIPE).plan(3))
        begun.iteration = 1
        begun.save(tmp_path / "out" / "checkpoint.safetensors")
        seen: list[int] = []

        def saving(state: TrainingState, checkpoint: Path) -> Any:
            return lambda step: seen.append(step.iteration)

        monkeypatch.setattr(command, "_saving", saving)
        assert command.main(arguments(features, tmp_path)) == 0
        assert seen == [2]


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"defense": {"type": "magic"}}, "'magic' is unknown"),
            ({"epsilon": -1}, "epsilon"),
            ({"augment": [{"type": "gain", "db": [6]}]}, "augment varies recordings"),
            ({"on_overfitting": "best"}, "on_overfitting is best, but nothing is evaluated"),
        ],
        ids=str,
    )
    def test_of_a_recipe_is_told_in_one_line(
        self,
        changes: dict[str, Any],
        told: str,
        features: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert command.main(arguments(features, tmp_path, **changes)) == 1
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_a_recipe_names_its_front_end(
        self, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """That of a training of the service which names none is another than a recipe's."""
        given = arguments(features, tmp_path)
        lacking = {name: value for name, value in RECIPE.items() if name != "front_end"}
        (tmp_path / "recipe.json").write_text(json.dumps(lacking))
        assert command.main(given) == 1
        assert "front_end is missing: give one of logmel-1, " in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_training_that_diverges_keeps_its_last_good_checkpoint(
        self,
        features: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(command, "CHECKPOINT_SECONDS", 0)
        saving = command._saving

        def spoilt(state: TrainingState, checkpoint: Path) -> Any:
            on_step = saving(state, checkpoint)

            def spoil(step: Step) -> None:
                if step.iteration == 2:  # its loss is a number still
                    buffers = dict(state.net.named_buffers())
                    next(buffers[name] for name in buffers if "var" in name).fill_(torch.inf)
                on_step(step)

            return spoil

        monkeypatch.setattr(command, "_saving", spoilt)
        assert command.main(arguments(features, tmp_path)) == 1
        assert "holds NaN or infinity: lower learning_rate" in capsys.readouterr().err
        kept = tmp_path / "out" / "checkpoint.safetensors"
        assert iteration_of(kept) == 1
        assert {path.name for path in kept.parent.iterdir()} == {kept.name}

    def test_of_a_folder_without_features_too(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.main(arguments(tmp_path, tmp_path)) == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_of_a_checkpoint_of_another_training_leaves_it(
        self, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "out").mkdir()
        path = tmp_path / "out" / "checkpoint.safetensors"
        other = TrainingState(Recipe(**{**RECIPE, "seed": 5}).plan(3))
        other.iteration = 1
        other.save(path)
        before = path.read_bytes()
        assert command.main(arguments(features, tmp_path)) == 1
        assert "belongs to another plan: it differs in seed" in capsys.readouterr().err
        assert path.read_bytes() == before
