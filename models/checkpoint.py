"""A model on disk: ``model.safetensors`` and ``config.json``, and nothing that can run code.

The front end travels with the model: the z-score statistics of its training split, the number of
frames and the version of the log-mel are part of the configuration.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.architectures import ARCHITECTURES, SpectrogramNet, build
from models.architectures.base import MIN_FRAMES
from models.features import FRAMES, LOG_MEL, MELS, Standardizer
from models.front_ends import FRONT_ENDS

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
MAX_FRAMES: Final = 3_750
"""One minute: bounds the memory that one window can take."""
MAX_CLASSES: Final = 1_000
MAX_LABEL: Final = 100
LARGEST_MEAN: Final = 100.0
STD_RANGE: Final = (1e-6, 100.0)
"""Log-mels of audio lie between -18.4 and about 5: wider statistics belong to something else, and
narrower ones would overflow float32 inside the network."""
HALF: Final = (torch.float16, torch.bfloat16)
"""What weights may be stored in beside float32, in which they are used."""
FIRST_FRONT_END: Final = "logmel-1"
"""Of a configuration that names none, or the log-mels alone, as the first ones did."""
LEVEL_RANGE: Final = (-200.0, 100.0)
"""dBFS. The last step of 24 bits lies at -138, and no decoded sample beyond 18."""
MAX_NESTING: Final = 16
LISTS: Final[dict[str, type | tuple[type, ...]]] = {
    "labels": str,
    "mean": (int, float),
    "std": (int, float),
    "levels_dbfs": (int, float),
}
"""Fields of ``config.json`` that are lists, and what they are lists of."""


class CheckpointError(ValueError):
    """A model's files do not fit together or are not what they claim to be.

    Attributes:
        code: stable name of the fault, for programs.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ModelConfig:
    """Everything but the weights that is needed to predict, and where the model came from.

    Attributes:
        architecture: a key of ``ARCHITECTURES``.
        labels: emotions in the order of the logits.
        mean, std: z-score statistics of the training split, one number a mel band.
        frames: window that the network was trained on.
        front_end: a key of ``FRONT_ENDS``: what ``mean`` and ``std`` are taken of.
        defense: the training loss and its weights, ``{"type": "single"}`` for none.
        training: corpus, seed, iterations and whatever else documents the run.
        metrics: ``{partition: {"clean_uar": x, "fgsm_uar": {"0.02": x}}}``.
        levels_dbfs: lowest and highest active level that it is meant for, as
            `models.audio.active_level_dbfs` measures it: the 1st and 99th percentile of its
            training clips, or those of a front end that makes no difference between levels. None if
            they are not known.
    """

    architecture: str
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frames: int = FRAMES
    front_end: str = FIRST_FRONT_END
    defense: dict[str, Any] = field(default_factory=lambda: {"type": "single"})
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    levels_dbfs: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise CheckpointError(
                "unknown_architecture",
                f"architecture is {self.architecture!r}: choose one of {sorted(ARCHITECTURES)}",
            )
        if self.front_end not in FRONT_ENDS:
            raise CheckpointError(
                "unknown_front_end",
                f"front_end is {self.front_end!r}: choose one of {sorted(FRONT_ENDS)}",
            )
        if not 2 <= len(self.labels) <= MAX_CLASSES or len(set(self.labels)) != len(self.labels):
            raise CheckpointError(
                "bad_labels", f"labels {self.labels!r}: give 2 to {MAX_CLASSES} different names"
            )
        for label in self.labels:
            if not label.strip() or not label.isprintable() or len(label) > MAX_LABEL:
                raise CheckpointError(
                    "bad_labels",
                    f"labels hold {label[:MAX_LABEL]!r}: "
                    f"give 1 to {MAX_LABEL} printable characters each",
                )
        if not MIN_FRAMES <= self.frames <= MAX_FRAMES:
            raise CheckpointError(
                "bad_frames", f"frames is {self.frames}: give {MIN_FRAMES} to {MAX_FRAMES}"
            )
        self._check_statistics()
        self._check_levels()

    def _check_levels(self) -> None:
        levels: tuple[float, ...] | None = self.levels_dbfs
        if levels is None:
            return
        lowest, highest = LEVEL_RANGE
        if len(levels) != 2 or not lowest <= levels[0] < levels[1] <= highest:
            raise CheckpointError(
                "bad_levels",
                f"levels_dbfs holds {', '.join(str(level)[:20] for level in levels[:3])}: give the"
                f" lowest and a higher level, from {lowest:g} to {highest:g} dBFS",
            )

    def _check_statistics(self) -> None:
        ranges = {"mean": (-LARGEST_MEAN, LARGEST_MEAN), "std": STD_RANGE}
        for name, (lowest, highest) in ranges.items():
            values: tuple[float, ...] = getattr(self, name)
            if len(values) != MELS:
                raise CheckpointError(
                    "bad_statistics",
                    f"{name} has {len(values)} values: give {MELS}, one a mel band",
                )
            outside = [value for value in values if not lowest <= value <= highest]
            if outside:
                raise CheckpointError(
                    "bad_statistics",
                    f"{name} holds {str(outside[0])[:20]}: "
                    f"it must lie in [{lowest:g}, {highest:g}]",
                )

    @property
    def standardizer(self) -> Standardizer:
        """The z-score of this model's training split."""
        return Standardizer(torch.tensor(self.mean), torch.tensor(self.std))

    def to_json(self) -> str:
        """The text of ``config.json``, without ``levels_dbfs`` where they are not known."""
        values = asdict(self)
        if self.levels_dbfs is None:
            del values["levels_dbfs"]
        return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read ``config.json``.

        Raises:
            CheckpointError: not JSON, an unknown, missing or ill-typed field, a value out of range.
        """
        try:
            values = json.loads(text)
            # Python also reads NaN, 1e999 and lone surrogates, which no answer can carry.
            json.dumps(values, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise CheckpointError("bad_config", f"config.json is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise CheckpointError("bad_config", "config.json must hold one JSON object")
        if _nesting(values) > MAX_NESTING:
            raise CheckpointError(
                "bad_config", f"config.json is nested more than {MAX_NESTING} deep"
            )
        known = [item.name for item in fields(cls)]
        if unknown := sorted(values.keys() - set(known)):
            raise CheckpointError(
                "bad_config", f"config.json has unknown fields {unknown[:3]}: known are {known}"
            )
        if missing := sorted({"architecture", "labels", "mean", "std"} - values.keys()):
            raise CheckpointError("bad_config", f"config.json lacks {missing}")
        _check_types(values)
        if values.get("front_end") == LOG_MEL:
            values["front_end"] = FIRST_FRONT_END
        for name in LISTS.keys() & values.keys():
            if values[name] is not None:
                values[name] = tuple(values[name])
        return cls(**values)


def _nesting(value: Any) -> int:
    """How many objects and lists lie within each other, counted up to one more than allowed."""
    depth = 0
    level = [value]
    while level and depth <= MAX_NESTING:
        depth += 1
        inner = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        ]
        level = [item for items in inner for item in items]
    return depth


def _check_types(values: Mapping[str, Any]) -> None:
    """Refuse ill-typed fields; JSON's true is an int in Python, so bool is refused by name."""
    for name, kind in LISTS.items():
        items = values.get(name)
        if items is None and name == "levels_dbfs":
            continue
        if not isinstance(items, list) or not all(
            isinstance(item, kind) and not isinstance(item, bool) for item in items
        ):
            raise CheckpointError("bad_config", f"{name} must be a list of {_named(kind)}")
    scalars = {"architecture": str, "front_end": str, "frames": int}
    objects = {"defense": dict, "training": dict, "metrics": dict}
    for name, kind in {**scalars, **objects}.items():
        if name in values and (
            not isinstance(values[name], kind) or isinstance(values[name], bool)
        ):
            raise CheckpointError("bad_config", f"{name} must be {_named(kind)}")


def _named(kind: type | tuple[type, ...]) -> str:
    names = {str: "text", int: "a whole number", dict: "an object"}
    return "numbers" if isinstance(kind, tuple) else names[kind]


def weights_bytes(net: SpectrogramNet, *, half: bool = False) -> bytes:
    """The network's state as safetensors.

    Args:
        half: store matrices and kernels in 16 bits; exact for those of :func:`halved`.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    if half:
        state = {name: each.half() if each.ndim > 1 else each for name, each in state.items()}
    return save(state)


@torch.no_grad()
def halved(net: SpectrogramNet) -> SpectrogramNet:
    """Round matrices and kernels to what 16 bits can hold, in place: a file of half the size then
    holds the very network that was measured."""
    for parameter in net.parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.half())
    return net


def network(weights: bytes, config: ModelConfig) -> SpectrogramNet:
    """Build the network of ``config`` with these weights, in eval mode on the CPU.

    Args:
        weights: content of a safetensors file; hostile bytes are fine. Numbers of 16 bits become
            the same numbers in float32.

    Raises:
        CheckpointError: not safetensors, or a tensor is missing, unknown, of the wrong shape or
            type, not finite, or a negative variance.
    """
    try:
        tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(
            "not_safetensors",
            f"the weights are not a safetensors file ({error}): save them with "
            "safetensors.torch.save_file; pickled checkpoints are never read",
        ) from None
    with torch.device("meta"):
        net = build(config.architecture, len(config.labels))
    expected = net.state_dict()
    _check_names(expected, tensors)
    for name, like in expected.items():  # the file's own order is another one every time
        _check_tensor(name, tensors[name], like)
        tensors[name] = tensors[name].to(like.dtype)
    net.load_state_dict(tensors, assign=True)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    return net.eval()


def _check_names(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    missing, unknown = expected.keys() - given.keys(), given.keys() - expected.keys()
    if missing or unknown:
        raise CheckpointError(
            "wrong_tensors",
            f"{len(missing)} tensors are missing {sorted(missing)[:3]} and {len(unknown)} are "
            f"unknown {sorted(unknown)[:3]}: save the state_dict of the architecture",
        )


def _check_tensor(name: str, given: Tensor, expected: Tensor) -> None:
    types = (expected.dtype, *(HALF if expected.dtype == torch.float32 else ()))
    if given.shape != expected.shape or given.dtype not in types:
        raise CheckpointError(
            "wrong_shape",
            f"{name} is {given.dtype} {tuple(given.shape)}: "
            f"expected {expected.dtype} {tuple(expected.shape)}",
        )
    if not bool(torch.isfinite(given).all()):
        raise CheckpointError("non_finite", f"{name} holds NaN or infinity")
    if name.endswith("running_var") and bool((given < 0).any()):
        raise CheckpointError("negative_variance", f"{name} is negative: a variance cannot be")


def sha256(weights: bytes) -> str:
    """Hexadecimal SHA-256 of a weights file: the identity that an audit names."""
    return hashlib.sha256(weights).hexdigest()


def save_model(
    folder: Path, net: SpectrogramNet, config: ModelConfig, *, half: bool = False
) -> str:
    """Write both files into an existing folder.

    Args:
        half: see :func:`weights_bytes`.

    Returns:
        The weights' SHA-256.
    """
    weights = weights_bytes(net, half=half)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_text(config.to_json())
    return sha256(weights)


def load_model(folder: Path) -> tuple[SpectrogramNet, ModelConfig]:
    """Read both files.

    Raises:
        CheckpointError: see :func:`network` and :meth:`ModelConfig.from_json`.
        FileNotFoundError: a file is missing.
    """
    config = ModelConfig.from_json((folder / CONFIG).read_bytes())
    return network((folder / WEIGHTS).read_bytes(), config), config
