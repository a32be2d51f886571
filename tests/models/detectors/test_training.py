"""The training of a detector: what it learns, exactly resumed, on a model that stays as it is."""

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from models.corpus.dataset import Dataset
from models.detectors.network import difference_kernels
from models.detectors.plan import DetectorRecipe
from models.detectors.training import DetectorState, DetectorStep, train_detector
from models.features import Standardizer
from tests.models.detectors.clips import batch
from tests.models.tiny import tiny_net

IDENTITY = Standardizer(torch.zeros(64), torch.ones(64))
HASH = "0" * 64


def smooth() -> Dataset:
    """Clips of 40 frames that hardly change from one to the next."""
    x, y = batch(16)
    return Dataset(x.flatten(0, 1), 40 * torch.arange(17), y)


def recipe(**wanted: object) -> DetectorRecipe:
    return DetectorRecipe.model_validate(
        {"epsilon": 0.1, "iterations": 6, "batch_size": 8, "learning_rate": 0.01, **wanted}
    )


def run(state: DetectorState, upto: int | None = None) -> list[float]:
    """Losses of the iterations; stopped after ``upto``."""
    losses: list[float] = []

    def note(step: DetectorStep) -> None:
        losses.append(step.loss)
        if step.iteration == upto:
            raise InterruptedError

    with suppress(InterruptedError):
        train_detector(state, tiny_net().eval(), 40, smooth(), IDENTITY, note)
    return losses


def test_it_learns_to_tell_attacked_clips_from_clean_ones() -> None:
    losses = run(DetectorState(recipe(iterations=30), HASH))
    assert losses[0] > 0.5
    assert losses[-1] < 0.3


def test_the_model_stays_as_it_is() -> None:
    model = tiny_net().eval()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    train_detector(DetectorState(recipe(), HASH), model, 40, smooth(), IDENTITY, lambda _step: None)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())


def test_a_resumed_run_ends_with_the_very_same_weights(tmp_path: Path) -> None:
    whole = DetectorState(recipe(), HASH)
    losses = run(whole)
    first = DetectorState(recipe(), HASH)
    run(first, upto=3)
    first.save(tmp_path / "half.safetensors")
    second = DetectorState(recipe(), HASH)
    second.load(tmp_path / "half.safetensors")
    assert second.iteration == 3
    assert run(second) == losses[3:]
    for name, one in whole.net.state_dict().items():
        assert torch.equal(one, second.net.state_dict()[name]), name


@pytest.mark.parametrize(
    "other",
    [DetectorState(recipe(epsilon=0.2), HASH), DetectorState(recipe(), "1" * 64)],
    ids=["recipe", "model"],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, other: DetectorState) -> None:
    state = DetectorState(recipe(), HASH)
    run(state, upto=2)
    state.save(tmp_path / "other.safetensors")
    before = {name: one.clone() for name, one in other.net.state_dict().items()}
    with pytest.raises(ValueError, match="not a checkpoint of this training"):
        other.load(tmp_path / "other.safetensors")
    assert other.iteration == 0
    assert all(torch.equal(one, before[name]) for name, one in other.net.state_dict().items())


def test_a_loss_that_is_no_number_ends_it() -> None:
    state = DetectorState(recipe(), HASH)
    with torch.no_grad():
        state.net.classifier.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="iteration 0"):
        run(state)


def test_the_differences_see_nothing_of_a_constant_and_keep_the_energy_of_white_noise() -> None:
    kernels = difference_kernels()
    assert kernels.sum(dim=(1, 2, 3)).abs().max() < 1e-6
    assert torch.allclose(kernels.square().sum(dim=(1, 2, 3)), torch.ones(len(kernels)))
