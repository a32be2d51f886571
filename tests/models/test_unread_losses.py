"""Losses that are read late: none is missed, and nothing that came of a bad one is kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models import threats, training
from models.device_reads import cheap_to_read
from models.threats import ThreatModel
from models.training import Step, TrainingState
from models.unread_losses import UnreadLosses
from tests.models.test_training import Killed, assert_equal, nobody, plan, run


def losses(*values: float, every: int = 3) -> UnreadLosses:
    made = UnreadLosses(every)
    for iteration, value in enumerate(values):
        made.add(iteration, torch.tensor(value))
    return made


class TestUnreadLosses:
    def test_are_due_when_there_are_enough(self) -> None:
        assert not losses(1, 2).due
        assert losses(1, 2, 3).due

    def test_that_are_finite_are_forgotten_when_they_were_read(self) -> None:
        read = losses(1, 2, 3)
        assert read.first_bad() is None
        assert not read.due

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    def test_tell_the_first_that_is_not_finite(self, bad: float) -> None:
        found = losses(1.0, bad, float("nan")).first_bad()
        assert found is not None
        assert (found[0], str(found[1])) == (1, str(bad))

    def test_go_on_telling_it(self) -> None:
        read = losses(1.0, float("nan"))
        assert read.first_bad() is not None
        assert read.first_bad() is not None
        read.forget()
        assert read.first_bad() is None


class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts numbers that the host reads of a tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.fixture
def slow_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat the CPU as a device that one has to wait for."""
    for module in (threats, training):
        monkeypatch.setattr(module, "cheap_to_read", lambda device: False)


@pytest.mark.usefixtures("tiny_architecture", "slow_to_read")
class TestOnASlowDevice:
    def poisoned(self, at: int, on_step: Any = nobody) -> TrainingState:
        """A training whose loss is not a number from this iteration on."""
        state = TrainingState(plan(iterations=60))

        def poison(step: Step) -> None:
            if step.iteration == at:
                state.net.classifier.weight.data.fill_(float("inf"))
            on_step(state, step)

        with pytest.raises(FloatingPointError, match=rf"nan in iteration {at}: lower"):
            run(state, on_step=poison)
        return state

    def test_a_bad_loss_is_found_late_and_told_by_its_own_iteration(self) -> None:
        assert self.poisoned(10, lambda state, step: None).iteration == 49

    def test_and_at_the_end_at_the_latest(self) -> None:
        assert self.poisoned(55, lambda state, step: None).iteration == 60

    def test_nothing_that_came_of_it_is_saved(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"

        def save(state: TrainingState, step: Step) -> None:
            if step.iteration % 4 == 0:
                state.save(path)

        assert self.poisoned(9, save).iteration == 12
        again = TrainingState(plan(iterations=60))
        again.load(path)
        assert again.iteration == 8

    def test_nor_shown_to_whoever_reads_a_loss(self) -> None:
        def read(state: TrainingState, step: Step) -> None:
            assert step.loss < 100

        assert self.poisoned(9, read).iteration == 10

    def test_a_state_that_goes_on_from_a_checkpoint_has_no_bad_loss_any_more(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "checkpoint.safetensors"
        TrainingState(plan(iterations=60)).save(path)
        state = self.poisoned(9, lambda state, step: None)
        state.load(path)
        state.save(path)

    @pytest.mark.parametrize("how", [{}, {"crafting": "fused"}], ids=["eval", "fused"])
    def test_an_iteration_reads_nothing_of_it(self, how: dict[str, str]) -> None:
        state = TrainingState(plan("vanilla", adversarial_from=0, **how))
        counts = []
        with Reads() as reads:

            def note(step: Step) -> None:
                counts.append(reads.count)
                if step.iteration == 5:
                    raise Killed

            with pytest.raises(Killed):
                run(state, on_step=note)
        assert set(counts) == {counts[0]}

    def test_the_weights_are_those_of_a_device_that_is_read_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = run(TrainingState(plan("vanilla")))
        for module in (threats, training):
            monkeypatch.setattr(module, "cheap_to_read", cheap_to_read)
        assert_equal(late, run(TrainingState(plan("vanilla"))))


class TestACpu:
    def test_is_cheap_to_read(self) -> None:
        assert cheap_to_read(torch.device("cpu"))
        assert not cheap_to_read(torch.device("cuda"))


class TestProjecting:
    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_without_asking_whether_all_is_finite_changes_nothing_that_is(
        self, norm: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x, x_adv, radius = torch.randn(3, 4, 5), torch.randn(3, 4, 5), torch.full((3,), 0.5)
        threat = ThreatModel("features", norm)
        asked: Tensor = threat.project(x, x_adv, radius)
        monkeypatch.setattr(threats, "cheap_to_read", lambda device: False)
        assert torch.equal(threat.project(x, x_adv, radius), asked)
