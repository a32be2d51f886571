"""A model on disk: what is written is what is read, and nothing hostile gets in."""

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from models.architectures import build
from models.checkpoint import (
    CONFIG,
    WEIGHTS,
    CheckpointError,
    ModelConfig,
    halved,
    load_model,
    network,
    save_model,
    sha256,
    weights_bytes,
)
from tests.models.tiny import clips, tiny_net

pytestmark = pytest.mark.usefixtures("tiny_architecture")

LABELS = ("anger", "fear", "joy")
REQUIRED = ("architecture", "labels", "mean", "std")


def config(**changes: Any) -> ModelConfig:
    values: dict[str, Any] = {
        "architecture": "tiny",
        "labels": LABELS,
        "mean": tuple(-8 + band / 10 for band in range(64)),
        "std": tuple(1 + band / 100 for band in range(64)),
        "frames": 40,
        "defense": {"type": "vanilla", "alpha": 0.5},
        "training": {"corpus": "toy", "seed": 3},
        "metrics": {"dev": {"clean_uar": 0.5, "fgsm_uar": {"0.02": 0.25}}},
    }
    return ModelConfig(**{**values, **changes})


def as_json(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(config().to_json())
    return values | changes


def refused(code: str, read: Callable[[], object]) -> str:
    """The message with which ``read`` refuses."""
    with pytest.raises(CheckpointError) as caught:
        read()
    assert caught.value.code == code
    return str(caught.value)


def refused_config(values: object, code: str = "bad_config") -> str:
    return refused(code, lambda: ModelConfig.from_json(json.dumps(values)))


def refused_weights(weights: bytes, code: str) -> str:
    return refused(code, lambda: network(weights, config()))


def with_header(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def changed(change: Callable[[dict[str, Tensor]], object]) -> bytes:
    """A tiny network's weights after a change of its tensors."""
    tensors = load(weights_bytes(tiny_net()))
    change(tensors)
    return save(tensors)


class TestRoundTrip:
    def test_gives_the_same_network_and_configuration(self, tmp_path: Path) -> None:
        net, x = tiny_net().eval(), clips()[0]
        save_model(tmp_path, net, config())
        again, settings_again = load_model(tmp_path)
        assert settings_again == config()
        assert torch.equal(again(x), net(x))
        for name, value in net.state_dict().items():
            assert torch.equal(again.state_dict()[name], value), name

    def test_leaves_two_files_and_the_weights_sha256(self, tmp_path: Path) -> None:
        digest = save_model(tmp_path, tiny_net(), config())
        assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
        weights = (tmp_path / WEIGHTS).read_bytes()
        assert digest == sha256(weights) == hashlib.sha256(weights).hexdigest()

    def test_the_same_network_has_the_same_sha256(self, tmp_path: Path) -> None:
        same, other = weights_bytes(tiny_net(seed=1)), weights_bytes(tiny_net(seed=2))
        assert sha256(weights_bytes(tiny_net(seed=1))) == sha256(same) != sha256(other)

    @pytest.mark.parametrize("name", ["cnn4", "resnet50", "vgg16"])
    def test_every_architecture(self, name: str) -> None:
        torch.manual_seed(0)
        net = build(name, 2).eval()
        settings_of_it = config(architecture=name, labels=("calm", "cross"))
        again = network(weights_bytes(net), settings_of_it)
        mine, theirs = net.state_dict(), again.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(theirs[key], value) for key, value in mine.items())

    def test_from_a_gpu_to_the_cpu(self, device: torch.device) -> None:
        again = network(weights_bytes(tiny_net().to(device)), config())
        assert {parameter.device.type for parameter in again.parameters()} == {"cpu"}

    def test_the_loaded_network_is_in_eval_mode_and_can_be_trained(self) -> None:
        net = network(weights_bytes(tiny_net()), config())
        assert not any(module.training for module in net.modules())
        assert all(parameter.requires_grad for parameter in net.parameters())
        net.train()
        net(clips()[0]).sum().backward()
        torch.optim.SGD(net.parameters(), lr=0.1).step()

    def test_the_front_end_travels_with_the_model(self) -> None:
        standardizer = config().standardizer
        features = standardizer.mean + 2 * standardizer.std
        torch.testing.assert_close(standardizer(features), torch.full((64,), 2.0))
        torch.testing.assert_close(standardizer.mean, torch.tensor(config().mean))

    def test_the_levels_it_was_trained_on_travel_with_the_model(self, tmp_path: Path) -> None:
        save_model(tmp_path, tiny_net(), config(levels_dbfs=(-42.5, -18.0)))
        assert load_model(tmp_path)[1].levels_dbfs == (-42.5, -18.0)

    def test_a_model_that_knows_no_levels_is_written_as_earlier_versions_read_it(self) -> None:
        assert "levels_dbfs" not in as_json()
        assert ModelConfig.from_json(json.dumps(as_json(levels_dbfs=None))) == config()

    def test_what_may_be_left_out_has_the_methods_values(self) -> None:
        plain = {name: value for name, value in as_json().items() if name in REQUIRED}
        read = ModelConfig.from_json(json.dumps(plain))
        assert (read.frames, read.defense, read.metrics) == (373, {"type": "single"}, {})

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        save_model(tmp_path, tiny_net(), config())
        (tmp_path / WEIGHTS).unlink()
        with pytest.raises(FileNotFoundError, match=WEIGHTS):
            load_model(tmp_path)


class TestHostileWeights:
    @pytest.mark.parametrize(
        "weights",
        [
            b"",
            b"short",
            b"\x80\x04\x95" + b"a pickle's first bytes" * 9,
            b"PK\x03\x04" + bytes(200),
            b"RIFF" + bytes(200),
            weights_bytes(tiny_net())[:-1],
            weights_bytes(tiny_net())[:100],
            weights_bytes(tiny_net()) + b"\0",
            struct.pack("<Q", 2) + b"[]",
            struct.pack("<Q", 4) + b"null",
            struct.pack("<Q", 100_000_001) + b"{}",
            struct.pack("<Q", 2**63) + b"{}",
            struct.pack("<q", -1) + b"{}",
            struct.pack("<q", -16) + b"{}",
        ],
        ids=[
            "empty",
            "short",
            "pickle",
            "zip",
            "riff",
            "truncated",
            "truncated header",
            "trailing byte",
            "header is a list",
            "header is null",
            "huge header",
            "header beyond memory",
            "header of -1",
            "header of -16",
        ],
    )
    def test_what_is_not_safetensors_is_refused(self, weights: bytes) -> None:
        message = refused_weights(weights, "not_safetensors")
        assert "safetensors.torch.save_file" in message

    def test_a_pickle_under_the_right_name_is_not_run(self, tmp_path: Path) -> None:
        import pickle

        class Trap:
            def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
                return os.mkdir, (str(tmp_path / "sprung"),)

        save_model(tmp_path, tiny_net(), config())
        (tmp_path / WEIGHTS).write_bytes(pickle.dumps(Trap()))
        refused("not_safetensors", lambda: load_model(tmp_path))
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize(
        "entry",
        [
            {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
            {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
            {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
            {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": "all", "data_offsets": [0, 4]},
            {},
        ],
        ids=str,
    )
    def test_a_lying_header_is_refused(self, entry: dict[str, object]) -> None:
        refused_weights(with_header({"weight": entry}, bytes(4)), "not_safetensors")

    def test_missing_and_unknown_tensors_are_named(self) -> None:
        def rename(tensors: dict[str, Tensor]) -> None:
            tensors["classifier.w"] = tensors.pop("classifier.weight")

        message = refused_weights(changed(rename), "wrong_tensors")
        assert "1 tensors are missing ['classifier.weight']" in message
        assert "unknown ['classifier.w']" in message

    def test_a_tensor_too_many_is_refused(self) -> None:
        weights = changed(lambda tensors: tensors.update(extra=torch.zeros(1)))
        assert "0 tensors are missing [] and 1 are unknown ['extra']" in refused_weights(
            weights, "wrong_tensors"
        )

    def test_another_architecture_or_number_of_classes_is_refused(self) -> None:
        refused("wrong_tensors", lambda: network(weights_bytes(tiny_net()), as_resnet()))
        message = refused_weights(weights_bytes(tiny_net(n_classes=4)), "wrong_shape")
        assert "classifier.weight is torch.float32 (4, 8): expected torch.float32 (3, 8)" in message

    @pytest.mark.parametrize(
        "value",
        [torch.zeros(3, 9), torch.zeros(8, 3), torch.zeros(24), torch.zeros(0), torch.tensor(0.0)],
        ids=lambda value: str(tuple(value.shape)),
    )
    def test_a_wrong_shape_is_refused_with_both(self, value: Tensor) -> None:
        weights = changed(lambda tensors: tensors.update({"classifier.weight": value}))
        message = refused_weights(weights, "wrong_shape")
        assert f"{tuple(value.shape)}: expected torch.float32 (3, 8)" in message

    @pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.bool])
    def test_a_wrong_type_is_refused(self, dtype: torch.dtype) -> None:
        weights = changed(
            lambda tensors: tensors.update({"classifier.bias": torch.zeros(3, dtype=dtype)})
        )
        assert str(dtype) in refused_weights(weights, "wrong_shape")

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_numbers_of_16_bits_become_the_same_in_float32(self, dtype: torch.dtype) -> None:
        bias = torch.tensor([0.1, -2.5, 3e-3]).to(dtype)
        weights = changed(lambda tensors: tensors.update({"classifier.bias": bias}))
        net = network(weights, config())
        assert net.classifier.bias.dtype == torch.float32
        assert torch.equal(net.classifier.bias, bias.float())

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("name", ["classifier.weight", "blocks.1.running_mean"])
    def test_what_is_not_finite_is_refused_and_named(self, name: str, value: float) -> None:
        weights = changed(lambda tensors: tensors[name].view(-1)[-1:].fill_(value))
        assert name in refused_weights(weights, "non_finite")

    def test_a_negative_variance_is_refused(self) -> None:
        """Its root would be NaN in every prediction."""
        weights = changed(lambda tensors: tensors["blocks.1.running_var"][2].fill_(-0.1))
        assert "blocks.1.running_var" in refused_weights(weights, "negative_variance")

    @given(st.integers(8, 900), st.binary(min_size=1, max_size=4))
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_flipped_header_never_ends_in_another_error(self, place: int, flip: bytes) -> None:
        weights = bytearray(weights_bytes(tiny_net()))
        weights[place : place + len(flip)] = flip
        with contextlib.suppress(CheckpointError):
            network(bytes(weights), config())


class TestHalved:
    def test_a_file_of_half_the_size_holds_the_very_network(self) -> None:
        net = halved(tiny_net().eval())
        stored = network(weights_bytes(net, half=True), config())
        for name, value in net.state_dict().items():
            assert torch.equal(stored.state_dict()[name], value)
            assert stored.state_dict()[name].dtype == value.dtype
        large = halved(build("cnn4", 3))
        assert len(weights_bytes(large, half=True)) < 0.51 * len(weights_bytes(large))


def as_resnet() -> ModelConfig:
    return config(architecture="resnet50")


class TestHostileConfiguration:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"\xff\xfe\x00",
            b"[" * 100_000,
            b'{"architecture": NaN}',
            b'{"training": {"loss": 1e999}}',
            b'{"training": {"note": "\\ud800"}}',
            b'{"mean": ' + b"9" * 5_000 + b"}",
        ],
        ids=[
            "empty",
            "cut",
            "no text",
            "deep",
            "NaN",
            "infinity",
            "half a character",
            "a number of 5000 digits",
        ],
    )
    def test_what_is_not_json_is_refused(self, text: bytes) -> None:
        refused("bad_config", lambda: ModelConfig.from_json(text))

    @pytest.mark.parametrize("values", [[], "text", 3, None])
    def test_anything_but_an_object_is_refused(self, values: object) -> None:
        assert "one JSON object" in refused_config(values)

    def test_unknown_fields_are_named_with_the_known_ones(self) -> None:
        message = refused_config(as_json(wieghts=1))
        assert "['wieghts']" in message
        assert "'labels'" in message

    @pytest.mark.parametrize("name", REQUIRED)
    def test_missing_fields_are_named(self, name: str) -> None:
        values = as_json()
        del values[name]
        assert f"lacks ['{name}']" in refused_config(values)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("architecture", 4),
            ("architecture", None),
            ("frames", True),
            ("frames", 40.0),
            ("frames", "40"),
            ("labels", "anger"),
            ("labels", ["anger", 3]),
            ("labels", None),
            ("mean", [True] * 64),
            ("std", ["1"] * 64),
            ("mean", 0),
            ("mean", {str(band): 0 for band in range(64)}),
            ("defense", "single"),
            ("training", []),
            ("metrics", 0.5),
            ("front_end", 1),
            ("levels_dbfs", -30),
            ("levels_dbfs", ["-40", "-20"]),
            ("levels_dbfs", [False, True]),
        ],
    )
    def test_an_ill_typed_field_is_refused_and_named(self, name: str, value: object) -> None:
        assert name in refused_config(as_json(**{name: value}))

    @pytest.mark.parametrize(
        ("code", "name", "value"),
        [
            ("unknown_architecture", "architecture", "../cnn4"),
            ("unknown_front_end", "front_end", "mfcc"),
            ("bad_labels", "labels", ["anger"]),
            ("bad_labels", "labels", []),
            ("bad_labels", "labels", ["anger", "anger"]),
            ("bad_labels", "labels", ["anger", " "]),
            ("bad_labels", "labels", ["anger", "a\nb"]),
            ("bad_labels", "labels", ["anger", "x" * 101]),
            ("bad_labels", "labels", [str(label) for label in range(1001)]),
            ("bad_frames", "frames", 31),
            ("bad_frames", "frames", -1),
            ("bad_frames", "frames", 10**9),
            ("bad_levels", "levels_dbfs", []),
            ("bad_levels", "levels_dbfs", [-40.0]),
            ("bad_levels", "levels_dbfs", [-40.0, -30.0, -20.0]),
            ("bad_levels", "levels_dbfs", [-20.0, -40.0]),
            ("bad_levels", "levels_dbfs", [-20.0, -20.0]),
            ("bad_levels", "levels_dbfs", [-40, 10**400]),
            ("bad_statistics", "mean", [0.0] * 63),
            ("bad_statistics", "std", [1.0] * 65),
            ("bad_statistics", "std", [1.0] * 63 + [0.0]),
            ("bad_statistics", "std", [1.0] * 63 + [-1.0]),
            ("bad_statistics", "std", [1.0] * 63 + [1e-300]),
            ("bad_statistics", "mean", [0.0] * 63 + [1e300]),
            ("bad_statistics", "mean", [0] * 63 + [10**400]),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_value_out_of_range_is_refused(self, code: str, name: str, value: object) -> None:
        assert name in refused_config(as_json(**{name: value}), code)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_statistics_that_are_no_numbers_are_refused_in_python_too(self, value: float) -> None:
        refused("bad_statistics", lambda: config(mean=(0.0,) * 63 + (value,)))

    def test_nesting_is_bounded(self) -> None:
        """Deeper ones could be read, and then neither copied nor written again."""
        deep: dict[str, Any] = {}
        for _ in range(20):
            deep = {"more": [deep]}
        assert "nested" in refused_config(as_json(training=deep))

    def test_everything_that_is_read_can_be_written(self) -> None:
        text = config(training={"ε": "Grüße", "list": [1, 2.5, None, True]}).to_json()
        assert ModelConfig.from_json(text).to_json() == text
