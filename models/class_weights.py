"""What each emotion weighs in the loss of a training.

A corpus has more clips of one emotion than of another, and a loss that counts clips alone learns
the frequent ones. "balanced" weighs them inversely to their frequency, as scikit-learn's
``class_weight="balanced"`` does (King & Zeng, Political Analysis 9, 2001): n / (classes · n_class).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import torch
from pydantic import Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError
from torch import Tensor

from models.checkpoint import MAX_CLASSES, MAX_LABEL

Balanced = Literal["balanced"]
BALANCED: Final[Balanced] = "balanced"
Weights = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_LABEL)],
        Annotated[float, Field(ge=1e-3, le=1e3, strict=True)],
    ],
    Field(min_length=1, max_length=MAX_CLASSES),
]
_weights: Final[TypeAdapter[dict[str, float]]] = TypeAdapter(Weights)


def _parsed(value: object) -> Balanced | dict[str, float]:
    """One refusal of what is meant, where a union would give one for each of its members."""
    if value == BALANCED:
        return BALANCED
    if not isinstance(value, Mapping):
        raise PydanticCustomError(
            "class_weights", "give balanced, or an object with a weight by emotion"
        )
    return _weights.validate_python(dict(value))


ClassWeights = Annotated[
    Balanced | dict[str, float],
    PlainValidator(_parsed, json_schema_input_type=Balanced | Weights),
]
"""In a request: "balanced", or the weight of an emotion by its name."""


def unknown_emotions(wanted: ClassWeights | None, emotions: Sequence[str]) -> list[str]:
    """What weights are given for though it is no emotion of the training, sorted."""
    return [] if wanted is None or wanted == BALANCED else sorted(set(wanted) - set(emotions))


def class_weights(
    wanted: ClassWeights | None,
    labels: Tensor,
    emotions: Sequence[str],
    *,
    equally_often: bool = False,
) -> Tensor | None:
    """The weight of each class, scaled so that it is 1 on average over the clips of the batches.

    So the loss keeps its size beside the other terms of a defence, and of given weights only their
    ratios count. An emotion that is not named weighs 1 before that.

    Args:
        wanted: of the recipe.
        labels: of the clips that are learnt from, (clips,), int64.
        emotions: names of the classes, in their order.
        equally_often: batches have each class that has clips as often as any other, and not as
            often as the clips do.

    Returns:
        (classes,), float32, on the device of ``labels``; None where all weigh the same.

    Raises:
        ValueError: a weight is given for an emotion that is none of them, or a class has no clip,
            so that it cannot be balanced.
    """
    if wanted is None:
        return None
    unknown = unknown_emotions(wanted, emotions)
    if unknown:
        raise ValueError(f"class_weights names {unknown[0]!r}, which is none of {list(emotions)}")
    counts = torch.bincount(labels, minlength=len(emotions)).double()
    if wanted == BALANCED:
        if bool((counts == 0).any()):
            raise ValueError("class_weights cannot balance an emotion without a clip")
        weights = 1 / counts
    else:
        weights = torch.tensor([wanted.get(emotion, 1.0) for emotion in emotions]).to(counts)
    drawn = (counts > 0).to(counts) if equally_often else counts
    return (weights * drawn.sum() / (weights @ drawn)).float()
