"""A detector on disk: ``detector.safetensors`` and ``detector.json``, nothing that can run code."""

from pathlib import Path
from typing import Final, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from models.checkpoint import CheckpointError, sha256
from models.detectors.network import DetectorNet
from models.detectors.plan import DetectorRecipe

WEIGHTS: Final = "detector.safetensors"
CONFIG: Final = "detector.json"


class DetectorConfig(BaseModel):
    """Everything but the weights: whose detector it is, from which score on it says "attacked"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model_sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Of the weights of the only model that it may be asked beside.",
    )
    threshold: float = Field(
        ge=0,
        le=1,
        description="A clip whose score is above it counts as attacked: the lowest with at most"
        " 1 % false alarms on clean clips of `dev`.",
        examples=[0.93],
    )
    recipe: DetectorRecipe
    corpus: str = Field(max_length=64, description="That it was trained on.")
    training: str = Field(max_length=64, description="The training that made it.")

    def to_json(self) -> str:
        """The text of ``detector.json``."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read ``detector.json``.

        Raises:
            CheckpointError: it is none (code ``bad_detector``).
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "it"
            raise CheckpointError(
                "bad_detector", f"{CONFIG} cannot be read: {where}: {fault['msg']}"
            ) from None


def weights_bytes(net: DetectorNet) -> bytes:
    """The network's state as safetensors."""
    return save({name: one.detach().cpu().contiguous() for name, one in net.state_dict().items()})


def network(weights: bytes) -> DetectorNet:
    """The network with these weights, in eval mode on the CPU.

    Raises:
        CheckpointError: they are not those of a detector (code ``bad_detector``).
    """
    try:
        tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError("bad_detector", f"{WEIGHTS} is not safetensors: {error}") from None
    net = DetectorNet()
    expected = {name: (one.shape, one.dtype) for name, one in net.state_dict().items()}
    if expected != {name: (one.shape, one.dtype) for name, one in tensors.items()}:
        raise CheckpointError("bad_detector", f"{WEIGHTS} does not hold the tensors of a detector")
    if not all(bool(torch.isfinite(one).all()) for one in tensors.values()):
        raise CheckpointError("bad_detector", f"{WEIGHTS} holds NaN or infinity")
    net.load_state_dict(tensors)
    return net.eval()


def save_detector(folder: Path, net: DetectorNet, config: DetectorConfig) -> str:
    """Write both files into an existing folder.

    Returns:
        The weights' SHA-256.
    """
    weights = weights_bytes(net)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    return sha256(weights)


def load_detector(folder: Path, *, model_sha256: str, digest: str) -> DetectorNet:
    """The network of a detector, to be asked beside a model.

    Args:
        model_sha256: of that model's weights.
        digest: SHA-256 of the detector's weights.

    Raises:
        CheckpointError: the files are not what they claim to be, or it is another model's detector
            (code ``other_model``).
        OSError: a file cannot be read.
    """
    config = DetectorConfig.from_json((folder / CONFIG).read_bytes())
    check_model(config, model_sha256)
    weights = (folder / WEIGHTS).read_bytes()
    if sha256(weights) != digest:
        raise CheckpointError("wrong_sha256", "the weights are not those that were attached")
    return network(weights)


def check_model(config: DetectorConfig, model_sha256: str) -> None:
    """Return if it is the detector of the model with these weights.

    Raises:
        CheckpointError: it is another's (code ``other_model``).
    """
    if config.model_sha256 != model_sha256:
        raise CheckpointError(
            "other_model",
            f"the detector was trained for the model with weights {config.model_sha256[:12]}…, and"
            f" these are {model_sha256[:12]}…: train one for this model",
        )
