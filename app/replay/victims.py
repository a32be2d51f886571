"""The models of a replay: from the bundle, from folders, or a starter; each by its SHA-256."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from app.registry.starters import starters
from app.replay import names
from app.replay.container import Broken
from app.replay.reading import OpenBundle, Unusable
from app.replay.schemas import ModelUsed
from models.checkpoint import CONFIG, WEIGHTS, CheckpointError, ModelConfig, network
from models.victims import SpectrogramVictim

MOST_CONFIG_BYTES: Final = 1024 * 1024
MOST_WEIGHTS_BYTES: Final = 2 * 1024**3


def victims(bundle: OpenBundle, folders: Sequence[Path]) -> dict[str, SpectrogramVictim]:
    """The models on the CPU, by what the request calls them; the audited one first.

    Args:
        folders: that have the files of models which are not in the bundle.

    Raises:
        Unusable: one is missing, or is no model.
    """
    return {
        model.id: _victim(bundle, model, _files(bundle, number, model, folders))
        for number, model in enumerate(bundle.materials.models)
    }


def _victim(
    bundle: OpenBundle, model: ModelUsed, content: tuple[bytes, bytes]
) -> SpectrogramVictim:
    config_json, weights = content
    try:
        config = ModelConfig.from_json(config_json)
        net = network(weights, config)
    except CheckpointError as error:
        raise Unusable(f"The model {model.id} cannot be used: {error}.") from error
    device = torch.device("cpu")
    return SpectrogramVictim(
        net.to(device),
        config.standardizer,
        config.labels,
        config.frames,
        front_end=config.front_end,
        windows=bundle.request.windows,
        exact=bundle.request.precision == "float32",
    )


def _files(
    bundle: OpenBundle, number: int, model: ModelUsed, folders: Sequence[Path]
) -> tuple[bytes, bytes]:
    """Configuration and weights."""
    inside = _inside(bundle, number)
    if inside is not None:
        if not _is(model, inside):
            raise Unusable(f"The model {model.id} in the bundle is not that of materials.json.")
        return inside
    for folder in [*folders, *(starter.folder for starter in starters().values())]:
        found = _outside(folder)
        if found is not None and _is(model, found):
            return found
    raise Unusable(
        f"The bundle has the hash of the model {model.id!a} and not its files. Give the folder that"
        f" holds its {CONFIG} and {WEIGHTS}, byte for byte: --model FOLDER. Their SHA-256 are"
        f" {model.config_sha256} and {model.weights_sha256}."
    )


def _inside(bundle: OpenBundle, number: int) -> tuple[bytes, bytes] | None:
    config, weights = (names.model_file(number, name) for name in (CONFIG, WEIGHTS))
    if config not in bundle.container.sizes:
        return None
    try:
        return (
            bundle.container.read(config, MOST_CONFIG_BYTES),
            bundle.container.read(weights, MOST_WEIGHTS_BYTES),
        )
    except Broken as error:
        raise Unusable(f"{error.part} {error.why}.") from error


def _outside(folder: Path) -> tuple[bytes, bytes] | None:
    try:
        return (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
    except OSError:
        return None


def _is(model: ModelUsed, content: tuple[bytes, bytes]) -> bool:
    found = [hashlib.sha256(one).hexdigest() for one in content]
    return found == [model.config_sha256, model.weights_sha256]
