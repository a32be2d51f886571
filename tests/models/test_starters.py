"""The shipped models are whole, say where they come from, and do what their cards say; and what
makes them takes up nothing that is stale."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from models.audio import active_level_dbfs, decode, level_range
from models.checkpoint import CONFIG, WEIGHTS, CheckpointError, ModelConfig, load_model
from models.corpus.index import read_index
from models.defenses.vanilla import Vanilla
from models.evaluation import evaluate
from models.features import LogMel, tile
from models.front_ends import FRONT_ENDS
from models.metrics import uar
from models.provenance import Provenance
from models.serving import served
from models.starter import (
    MAJORITY,
    PRETRAINED,
    SELECTIONS,
    STARTERS,
    configuration,
    measure,
    publish,
    run,
)
from models.starter_card import card
from models.starter_corpus import Corpus, read_corpus
from models.training import TrainingState
from models.training_plan import TrainingPlan

FOLDERS = sorted(path.parent for path in PRETRAINED.glob(f"*/{CONFIG}"))
CREMAD = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "cremad"

starters = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
needs_cremad = pytest.mark.skipif(
    not CREMAD.is_dir(), reason="needs CREMA-D in ../shared/corpora/cremad"
)


def test_every_plan_has_its_model() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(STARTERS)


def test_they_reach_the_bars_that_were_set_for_them() -> None:
    """An SVM on mel functionals reaches .56 on these test speakers."""
    test = {
        folder.name: ModelConfig.from_json((folder / CONFIG).read_bytes()).metrics["test"]
        for folder in FOLDERS
    }
    assert test["cnn4-single-cremad"]["clean_uar"] >= 0.62
    assert test["cnn4-similarity-cremad"]["fgsm_uar"]["0.02"] >= 0.45


@starters
class TestStarter:
    def test_is_made_by_a_plan(self, folder: Path) -> None:
        plan = STARTERS[folder.name]
        _, config = load_model(folder)
        assert config.architecture == plan.architecture
        assert config.frames == plan.frames
        assert config.defense == plan.defense.model_dump(mode="json")
        assert Provenance.of(config).recipe == plan.recipe

    def test_has_the_checksum_that_it_names(self, folder: Path) -> None:
        named = (folder / "SHA256SUMS").read_text().split()[0]
        assert hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() == named

    def test_has_a_card_made_of_its_configuration(self, folder: Path) -> None:
        config = ModelConfig.from_json((folder / CONFIG).read_bytes())
        sha256 = (folder / "SHA256SUMS").read_text().split()[0]
        assert (folder / "README.md").read_text() == card(folder.name, config, sha256)

    def test_names_its_uar_clean_and_under_attack(self, folder: Path) -> None:
        metrics = json.loads((folder / CONFIG).read_text())["metrics"]
        for split in ("dev", "test"):
            attacked = list(metrics[split]["fgsm_uar"].values())
            assert metrics[split]["clean_uar"] > attacked[0] > attacked[1] > attacked[2] > 0


@pytest.fixture(scope="module")
def cremad(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read_corpus(CREMAD, tmp_path_factory.mktemp("starter"))


@needs_cremad
@pytest.mark.timeout(600)
class TestTheirCorpus:
    @starters
    def test_the_test_speakers_are_recognised_as_often_as_the_card_says(
        self, folder: Path, cremad: Corpus
    ) -> None:
        net, config = load_model(folder)
        view = served(net, torch.device("cpu"))
        data = cremad.heard(STARTERS[folder.name]).splits["test"]
        found = evaluate(view, config.standardizer, config.labels, data, frames=config.frames)
        assert found.clean == pytest.approx(config.metrics["test"]["clean_uar"], abs=0.002)

    @starters
    def test_it_is_the_one_that_the_card_tells_of(self, folder: Path, cremad: Corpus) -> None:
        _, config = load_model(folder)
        run = Provenance.of(config)
        assert run.selection == SELECTIONS[cremad.index_sha256] == MAJORITY
        assert run.sample_rates_hz == list(cremad.sample_rates_hz)
        assert run.clips == cremad.clips
        assert run.speakers == cremad.speakers
        assert run.public_speakers == cremad.trained_on
        assert config.labels == cremad.labels
        heard = cremad.heard(STARTERS[folder.name])
        levels = FRONT_ENDS[config.front_end].levels_dbfs or cremad.levels_dbfs
        assert config.levels_dbfs == levels
        torch.testing.assert_close(
            torch.tensor(config.mean), heard.standardizer.mean, rtol=0, atol=1e-4
        )
        torch.testing.assert_close(
            torch.tensor(config.std), heard.standardizer.std, rtol=0, atol=1e-4
        )


# A corpus of hums: each emotion has a pitch, each speaker a split; the test speaker shouts.
PITCHES = {"anger": 900.0, "calm": 250.0, "joy": 500.0}
SPEAKERS = {"ada": "train", "bob": "train", "cid": "dev", "dee": "test"}
LOUDNESS = {"train": 0.03, "dev": 0.03, "test": 0.5}
TAKES, RATE = 2, 11_025
PLAN = TrainingPlan(
    architecture="cnn4",
    n_classes=3,
    iterations=6,
    adversarial_from=3,
    batch_size=4,
    frames=40,
    learning_rate=0.01,
)
UARS = {"0.02": 0.4, "0.04": 0.3, "0.1": 0.2}
METRICS: dict[str, Any] = {
    split: {"clips": 6, "clean_uar": 0.5, "fgsm_uar": UARS} for split in ("dev", "test")
}
METRICS["test"]["pgd"] = {"clips": 4, "clean_uar": 0.5, "pgd_uar": UARS}
METRICS["test"]["corruptions"] = [
    {
        "corruption": "gain", "strength": -26.0, "unit": "dB", "clips": 6, "changed": 0.25,
        "broken": 0.125, "right_before": 4, "accuracy": 0.5, "uar": 0.4375,
    }
]  # fmt: skip
METRICS["emodb"] = {"clips": 9, "speakers": 3, "clean_uar": 0.375}


@pytest.fixture
def hums(tmp_path: Path) -> Path:
    folder = tmp_path / "hums"
    folder.mkdir()
    lines = ["path,speaker,gender,emotion,sentence,duration_s,split"]
    noise = np.random.default_rng(5)
    for speaker, split in SPEAKERS.items():
        for emotion, pitch in PITCHES.items():
            for take in range(TAKES):
                time = np.arange(int(RATE * (0.6 + 0.1 * take))) / RATE
                sound = np.sin(2 * np.pi * pitch * time) + 0.3 * noise.standard_normal(len(time))
                name = f"{speaker}-{emotion}-{take}.flac"
                soundfile.write(folder / name, LOUDNESS[split] * sound, RATE)
                lines.append(f"{name},{speaker},f,{emotion},S{take},1.0,{split}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def plan(tiny_architecture: str) -> TrainingPlan:
    return PLAN.changed(architecture=tiny_architecture)


def log_mels(folder: Path, split: str) -> list[tuple[Tensor, int]]:
    """Of the clips of a split, with their labels, made without any of the code under test."""
    found = []
    for path in sorted(folder.glob("*.flac")):
        speaker, emotion, _ = path.stem.split("-")
        if SPEAKERS[speaker] == split:
            samples = torch.from_numpy(decode(path.read_bytes()).samples)
            found.append((LogMel()(samples), list(PITCHES).index(emotion)))
    return found


class TestMakingOne:
    def test_from_recordings_to_a_published_model(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        corpus = read_corpus(hums, tmp_path / "work")
        plan = plan.changed(iterations=40, adversarial_from=None)
        state = run("toy", plan, corpus, "cpu")
        metrics = measure(state, corpus, "cpu")
        assert metrics["dev"]["clean_uar"] != metrics["test"]["clean_uar"]
        publish("toy", state, corpus, metrics, tmp_path / "out")

        net, config = load_model(tmp_path / "out" / "toy")
        assert config.labels == ("anger", "calm", "joy")
        frames = torch.cat([clip for clip, _ in log_mels(hums, "train")]).double()
        torch.testing.assert_close(
            torch.tensor(config.mean), frames.mean(dim=0).float(), rtol=0, atol=1e-4
        )
        torch.testing.assert_close(
            torch.tensor(config.std), frames.std(dim=0).float(), rtol=0, atol=1e-4
        )
        for split in ("dev", "test"):
            clips = log_mels(hums, split)
            x = torch.stack([tile(clip, plan.frames) for clip, _ in clips])
            z = (x - torch.tensor(config.mean)) / torch.tensor(config.std)
            y = torch.tensor([label for _, label in clips])
            with torch.no_grad():
                clean = uar(y, net(z).argmax(dim=1), 3)
            assert config.metrics[split]["clean_uar"] == pytest.approx(clean, abs=1e-4)
            assert list(config.metrics[split]["fgsm_uar"]) == ["0.02", "0.04", "0.1"]

        folder = tmp_path / "out" / "toy"
        sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        assert (folder / "SHA256SUMS").read_text() == f"{sha256}  {WEIGHTS}\n"
        assert (folder / "README.md").read_text() == card("toy", config, sha256)
        index = hashlib.sha256((hums / "index.csv").read_bytes()).hexdigest()
        run_of = Provenance.of(config)
        levels = [
            active_level_dbfs(decode((hums / clip.path).read_bytes()).samples)
            for clip in read_index((hums / "index.csv").read_bytes())
            if clip.split == "train"
        ]
        assert config.levels_dbfs == level_range(levels)
        assert run_of.index_sha256 == index
        assert run_of.sample_rates_hz == [RATE]
        assert run_of.speakers == {"train": 2, "dev": 1, "test": 1}
        assert run_of.recipe == plan.recipe

    def test_the_defended_one_goes_on_where_the_clean_phase_ends(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        corpus = read_corpus(hums, tmp_path / "work")
        defended = plan.changed(defense={"type": "similarity"}, iterations=7)
        alone = run("defended", defended, read_corpus(hums, tmp_path / "other"), "cpu")
        run("clean", plan, corpus, "cpu")
        again = TrainingState(plan)
        again.load(corpus.work / "clean-phase.safetensors")
        assert again.iteration == 3
        shared = run("defended", defended, corpus, "cpu")
        for name, value in alone.net.state_dict().items():
            assert torch.equal(value, shared.net.state_dict()[name]), name

    def test_what_could_not_be_published_is_not_trained(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        corpus = read_corpus(hums, tmp_path / "work")
        train = corpus.splits["train"]
        narrow = replace(train, features=train.features * 1e-9)
        flat = replace(corpus, splits=corpus.splits | {"train": narrow})
        with pytest.raises(CheckpointError, match="std holds"):
            run("toy", plan, flat, "cpu")
        assert not list(corpus.work.glob("toy*"))


class TestWhatIsLeftFromBefore:
    def test_is_taken_up_for_the_same_corpus_and_plan(
        self,
        hums: Path,
        plan: TrainingPlan,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = run("toy", plan, read_corpus(hums, tmp_path), "cpu")
        monkeypatch.setattr("models.starter_corpus.extract", pytest.fail)
        capsys.readouterr()
        second = run("toy", plan, read_corpus(hums, tmp_path), "cpu")
        assert capsys.readouterr().out == ""  # nothing was left to do
        assert second.iteration == first.iteration == 6

    def test_is_not_for_other_labels_or_another_division(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        before = read_corpus(hums, tmp_path)
        run("toy", plan, before, "cpu")
        index = (hums / "index.csv").read_text()
        (hums / "index.csv").write_text(index.replace(",joy,", ",happiness,"))
        after = read_corpus(hums, tmp_path)
        assert after.labels == ("anger", "calm", "happiness")
        assert after.work != before.work
        assert not list(after.work.glob("toy*"))

    def test_features_that_are_not_the_indexs_are_made_anew(
        self, hums: Path, tmp_path: Path
    ) -> None:
        before = read_corpus(hums, tmp_path)
        kept = before.work / "index.csv"
        kept.write_text(kept.read_text().replace(",joy,", ",happiness,"))
        assert read_corpus(hums, tmp_path).labels == ("anger", "calm", "joy")
        assert read_index(kept.read_bytes()).emotions == ("anger", "calm", "joy")

    def test_a_clip_that_cannot_be_read_is_left_out_each_time(
        self, hums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (hums / "ada-joy-0.flac").write_bytes(b"fLaC, or so it says")
        assert read_corpus(hums, tmp_path).clips["train"] == 11
        monkeypatch.setattr("models.starter_corpus.extract", pytest.fail)
        assert read_corpus(hums, tmp_path).clips["train"] == 11

    @pytest.mark.parametrize("changes", [{"seed": 9}, {"iterations": 5}, {"learning_rate": 0.02}])
    def test_a_checkpoint_of_another_plan_is_left_aside(
        self,
        changes: dict[str, int],
        hums: Path,
        plan: TrainingPlan,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        corpus = read_corpus(hums, tmp_path)
        other = plan.changed(**changes)
        run("toy", plan, corpus, "cpu")
        (corpus.work / "clean-phase.safetensors").unlink()
        state = run("toy", other, corpus, "cpu")
        assert "toy.safetensors is left aside: the checkpoint" in capsys.readouterr().out
        alone = run("toy", other, read_corpus(hums, tmp_path / "alone"), "cpu")
        for name, value in alone.net.state_dict().items():
            assert torch.equal(value, state.net.state_dict()[name]), name

    def test_a_damaged_checkpoint_is_left_aside(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        corpus = read_corpus(hums, tmp_path)
        (corpus.work / "toy.safetensors").write_bytes(b"cut off")
        assert run("toy", plan, corpus, "cpu").iteration == 6


class TestCard:
    def words(self, corpus: Corpus, plan: TrainingPlan) -> str:
        config = replace(configuration(plan, corpus, "cpu"), metrics=METRICS)
        return " ".join(card("toy", config, "0" * 64).split())

    def test_its_facts_are_those_of_the_run(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        corpus = read_corpus(hums, tmp_path)
        words = self.words(corpus, plan)
        assert "Acted speech of 4 speakers" in words
        assert "the clips that its index names" in words
        assert "40 frames (0.7 s)" in words
        assert "| test | 0.500 | 0.400 | 0.300 | 0.200 |" in words
        assert "| 4 clips of test | 0.500 | 0.400 | 0.300 | 0.200 |" in words
        assert "| gain | -26 dB | 0.250 | 0.125 (n = 4) | 0.438 |" in words
        assert (
            "On `emodb`, which it never learnt from, UAR is 0.375 (9 clips of 3 speakers)" in words
        )
        assert f"torch {torch.__version__} on cpu" in words
        assert "without η" in words
        assert "Adversarial batches" not in words
        assert "Open Database License 1.0" in words
        assert "Database Contents License 1.0" in words
        attack = {"type": "fgsm", "clip": 0.1}
        defended = self.words(corpus, plan.changed(defense=Vanilla(), attack=attack))
        assert "Adversarial batches (FGSM, clip 0.1, ε = 0.02) enter at iteration 3" in defended
        trades = self.words(corpus, plan.changed(defense={"type": "trades"}))
        assert "Adversarial batches (of its own, ε = 0.02) enter at iteration 3" in trades

    def test_a_model_that_does_not_say_how_it_was_trained_has_none(
        self, hums: Path, plan: TrainingPlan, tmp_path: Path
    ) -> None:
        config = configuration(plan, read_corpus(hums, tmp_path), "cpu")
        silent = replace(config, metrics=METRICS, training={"by": "someone else"})
        with pytest.raises(ValueError, match="toy does not say how it was trained"):
            card("toy", silent, "0" * 64)

    @pytest.mark.parametrize(
        ("rates", "expected"),
        [
            ((16_000,), "Audio of 16 kHz. -"),
            ((8_000, 48_000), "Audio of 8 and 48 kHz. -"),
            ((11_025,), "Audio of 11.025 kHz, so nothing above 5.5 kHz: the 6 bands"),
            ((8_000,), "Audio of 8 kHz, so nothing above 4.0 kHz: the 13 bands"),
        ],
    )
    def test_it_tells_what_the_recordings_cannot_hold(
        self,
        rates: tuple[int, ...],
        expected: str,
        hums: Path,
        plan: TrainingPlan,
        tmp_path: Path,
    ) -> None:
        corpus = replace(read_corpus(hums, tmp_path), sample_rates_hz=rates)
        assert expected in self.words(corpus, plan)
