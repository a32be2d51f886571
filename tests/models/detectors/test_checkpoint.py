"""A detector's files: bound to one model, and refused when they are not what they claim to be."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import CheckpointError, sha256
from models.detectors import (
    DetectorConfig,
    DetectorNet,
    DetectorRecipe,
    load_detector,
    save_detector,
    served,
)

MODEL = "a" * 64


@pytest.fixture
def net() -> DetectorNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DetectorNet().eval()


@pytest.fixture
def digest(net: DetectorNet, tmp_path: Path) -> str:
    config = DetectorConfig(
        model_sha256=MODEL, threshold=0.9, recipe=DetectorRecipe(), corpus="c", training="t"
    )
    return save_detector(tmp_path, net, config)


def test_it_comes_back_as_it_was(net: DetectorNet, digest: str, tmp_path: Path) -> None:
    x = torch.randn(2, 40, 64)
    again = load_detector(tmp_path, model_sha256=MODEL, digest=digest)
    assert torch.equal(again(x), net(x))
    assert torch.allclose(served(net)(x), net(x), atol=1e-5)
    config = DetectorConfig.from_json((tmp_path / "detector.json").read_bytes())
    assert (config.threshold, config.recipe) == (0.9, DetectorRecipe())


def test_it_serves_no_other_model(digest: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="trained for the model with weights aaaa") as error:
        load_detector(tmp_path, model_sha256="b" * 64, digest=digest)
    assert error.value.code == "other_model"


def test_other_weights_are_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(CheckpointError) as error:
        load_detector(tmp_path, model_sha256=MODEL, digest="0" * 64)
    assert error.value.code == "wrong_sha256"


@pytest.mark.parametrize("harm", ["a shape", "a name", "NaN", "pickle"])
def test_hostile_weights_are_refused(tmp_path: Path, digest: str, harm: str) -> None:
    path = tmp_path / "detector.safetensors"
    tensors = load_file(path)
    match harm:
        case "a shape":
            tensors["classifier.bias"] = torch.zeros(2)
        case "a name":
            tensors["more"] = torch.zeros(2)
        case "NaN":
            tensors["classifier.bias"].fill_(float("nan"))
    save_file(tensors, path)
    if harm == "pickle":
        torch.save(tensors, path)
    with pytest.raises(CheckpointError) as error:
        load_detector(tmp_path, model_sha256=MODEL, digest=sha256(path.read_bytes()))
    assert error.value.code == "bad_detector"


@pytest.mark.parametrize("text", ["", "[]", '{"threshold": 2}', "\udcff"])
def test_a_hostile_configuration_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"detector\.json cannot be read"):
        DetectorConfig.from_json(text.encode(errors="surrogateescape"))
