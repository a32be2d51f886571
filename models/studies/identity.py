"""When two trainings are the same: whichever way they were asked for, one of them is enough."""

import hashlib
import json
from typing import Any, Final

from pydantic import BaseModel

from models.corpus.folds import Fold
from models.provenance import TrainedOn
from models.training_plan import Recipe

OF_ADVERSARIES: Final = {"epsilon", "epsilon_ramp", "crafting", "adversarial_from"}
"""Fields of a recipe that matter where adversarial data are learnt from."""


def identity(recipe: Recipe, train_on: TrainedOn, fold: Fold | None, data: str) -> str:
    """SHA-256 in hexadecimal of all that determines the weights: the same for trainings that would
    end with the same ones.

    What a recipe does not use is left out, and so is a field with its default. So a field that a
    later version adds, whose default does what was done before, changes no identity.

    Args:
        recipe: how it trains, the seed included.
        train_on: partitions that it learns from.
        fold: that takes the place of the corpus's own partition.
        data: a hash of the corpus.
    """
    determines = {
        "recipe": canonical(recipe),
        "train_on": train_on,
        "fold": None if fold is None else fold.model_dump(exclude_none=True),
        "data": data,
    }
    text = json.dumps(determines, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe determines a training, in JSON's types, defaults left out."""
    clean = recipe.defense.inputs == "clean"
    unused = {"defense", "attack", "augment"} | (OF_ADVERSARIES if clean else set())
    if not recipe.augment:
        unused.add("augment_share")
    # By the recipe's own fields: what inherits from it may have others, such as a name.
    used = set(Recipe.model_fields) - unused
    found = recipe.model_dump(mode="json", include=used, exclude_defaults=True)
    found["defense"] = _with_type(recipe.defense)
    if recipe.augment:
        found["augment"] = [_with_type(one) for one in recipe.augment]
    if not clean:
        found["adversarial_from"] = recipe.first_adversarial
    if recipe.defense.inputs == "attack":
        found["attack"] = _with_type(recipe.attack)
    return found


def _with_type(one: BaseModel) -> dict[str, Any]:
    """An attack, a defence or a corruption; its type is a default, and what tells it apart."""
    return {**one.model_dump(mode="json", exclude_defaults=True), "type": getattr(one, "type")}  # noqa: B009
