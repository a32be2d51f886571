"""The shipped models are whole, say where they come from, and do what their cards say."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from models.audit import robust_uar
from models.checkpoint import CONFIG, WEIGHTS, ModelConfig, load_model
from models.corpus.extraction import extract
from models.corpus.index import read_index
from models.corpus.manifest import Manifest
from models.serving import served
from models.starter import PRETRAINED, STARTERS, card

FOLDERS = sorted(path.parent for path in PRETRAINED.glob(f"*/{CONFIG}"))
CREMAD = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "cremad"

starters = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_every_plan_has_its_model() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(STARTERS)


@starters
class TestStarter:
    def test_is_made_by_a_plan(self, folder: Path) -> None:
        plan = STARTERS[folder.name]
        _, config = load_model(folder)
        assert config.architecture == plan.architecture
        assert config.frames == plan.frames
        assert config.defense == plan.defense.to_dict()
        for name in ("seed", "iterations", "batch_size", "learning_rate", "decay", "cooldown"):
            assert config.training[name] == getattr(plan, name)

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

    @pytest.mark.skipif(not CREMAD.is_dir(), reason="needs CREMA-D in ../shared/corpora/cremad")
    @pytest.mark.timeout(600)
    def test_recognises_the_test_speakers_as_often_as_its_card_says(
        self, folder: Path, tmp_path: Path
    ) -> None:
        index = read_index((CREMAD / "index.csv").read_bytes())
        features = extract(Manifest(index.split("test").clips), CREMAD, tmp_path)
        net, config = load_model(folder)
        _, data = features.dataset(config.labels, "test")
        view = served(net, torch.device("cpu"))
        clean, _ = robust_uar(view, config.standardizer, data, [], frames=config.frames)
        assert clean == pytest.approx(config.metrics["test"]["clean_uar"], abs=0.002)
