"""Training with or without a defence: one flat loop (protocol of the paper, Sec. 4.3).

A run is a function of its plan and its data: batches follow from the seed and the iteration alone,
so that a run continued from any checkpoint draws the very batches it would have drawn, and on one
CPU ends with the very same weights.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol, Self

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.architectures import SpectrogramNet, build
from models.balanced_batches import BalancedBatches
from models.class_weights import class_weights
from models.defenses import Adversary
from models.defenses.single import Single
from models.device_reads import cheap_to_read
from models.features import Standardizer
from models.ranks import ALONE, Ranks
from models.rng import Rng
from models.training_plan import TrainingPlan
from models.unread_losses import READ_EVERY, UnreadLosses

CLEAN: Final = Single()
"""How every training begins, until adversarial data enter."""


@dataclass(frozen=True)
class Step:
    """One iteration, as shown to whoever watches."""

    iteration: int
    learning_rate: float
    adversarial: bool
    read: Callable[[], float]

    @property
    def loss(self) -> float:
        """Mean over the batch. On a GPU, to ask for it is to wait for it.

        Raises:
            Diverged: it, or one before, is not finite.
        """
        return self.read()


class Diverged(FloatingPointError):
    """A training has left the numbers that a computer has.

    Attributes:
        iteration: iterations done when it was found.
        loss: of the next one, which is infinite or not a number; None if that was not taken.
    """

    def __init__(self, message: str, iteration: int, loss: float | None = None) -> None:
        super().__init__(message)
        self.iteration = iteration
        self.loss = loss


class TrainingState:
    """Network, optimiser and the number of iterations done."""

    def __init__(self, plan: TrainingPlan, device: torch.device | str = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(plan.seed)  # the CPU's, which draws the weights
            self.net = build(plan.architecture, plan.n_classes)
        # The same values in another order in memory, in which convolutions take a tenth less time.
        self.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=plan.learning_rate, fused=True)
        self.plan = plan
        self.iteration = 0
        self.losses = UnreadLosses(1 if cheap_to_read(torch.device(device)) else READ_EVERY)

    def check_losses(self) -> None:
        """Read the losses that are not read yet.

        Raises:
            Diverged: one is not finite.
        """
        bad = self.losses.first_bad()
        if bad is not None:
            iteration, value = bad
            raise Diverged(
                f"the loss became {value} in iteration {iteration}: "
                f"lower learning_rate ({self.plan.learning_rate}) or epsilon ({self.plan.epsilon})",
                iteration,
                value,
            )

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill at any moment leaves the old one or the new one, whole.

        Raises:
            Diverged: it has; the old one stays.
            OSError, SafetensorError: it cannot be written.
        """
        self.check_losses()
        broken = not_finite(self.net)
        if broken is not None:
            raise Diverged(
                f"after iteration {self.iteration} {broken} holds NaN or infinity: lower"
                f" learning_rate ({self.plan.learning_rate})",
                self.iteration,
            )
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        metadata = {
            "iteration": str(self.iteration),
            "plan": json.dumps(self.plan.model_dump(mode="json")),
        }
        draft = path.with_suffix(".draft")
        try:
            save_file(
                {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                draft,
                metadata,
            )
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def load(self, path: Path, *, but_for: Collection[str] = ()) -> None:
        """Continue from a checkpoint of this plan, or of a plan with the same clean phase.

        What is refused leaves this state as it was.

        Args:
            path: of the checkpoint.
            but_for: fields of the plan that may have been others.

        Raises:
            ValueError: the file is no checkpoint of a training, it belongs to another run, or it
                was saved of another network.
            SafetensorError: the file is damaged.
            OSError: it cannot be read.
        """
        with safe_open(path, framework="pt") as file:
            metadata = _metadata(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        iteration = int(metadata["iteration"])
        own = {name: getattr(self.plan, name) for name in but_for}
        self._check_same_run(_plan_of(metadata["plan"]).changed(**own), iteration)
        self._check_tensors(tensors)
        self.net.load_state_dict(
            {name[4:]: value for name, value in tensors.items() if name.startswith("net.")}
        )
        adam = self.optimizer.state_dict()
        adam["state"] = {}
        parameters = list(self.net.parameters())
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".")
                like = _laid_out_as(parameters[int(index)], value)
                adam["state"].setdefault(int(index), {})[moment] = like
        self.optimizer.load_state_dict(adam)
        self.iteration = iteration
        self.losses.forget()

    def _check_same_run(self, saved: TrainingPlan, iteration: int) -> None:
        if saved == self.plan:
            return
        clean = iteration <= min(saved.shared_until, self.plan.shared_until)
        if not clean or saved.clean_phase() != self.plan.clean_phase():
            raise ValueError(
                f"the checkpoint at iteration {iteration} belongs to another plan: it differs in "
                + ", ".join(_differences(saved, self.plan))
            )

    def _check_tensors(self, saved: dict[str, Tensor]) -> None:
        """Before the first is copied: half of another network's would spoil this one."""
        expected = {f"net.{name}": value.shape for name, value in self.net.state_dict().items()}
        if any(name.startswith("adam.") for name in saved):  # no step, no moments
            for index, parameter in enumerate(self.net.parameters()):
                moments = dict.fromkeys(("exp_avg", "exp_avg_sq"), parameter.shape)
                for name, shape in {"step": torch.Size(), **moments}.items():
                    expected[f"adam.{index}.{name}"] = shape
        given = {name: value.shape for name, value in saved.items()}
        for name in sorted(expected.keys() | given.keys()):
            if expected.get(name) != given.get(name):
                raise ValueError(
                    f"the checkpoint is of another network: {name} is {_told(given.get(name))}"
                    f" there, and {_told(expected.get(name))} here"
                )


def iteration_of(path: Path) -> int:
    """Iterations that were done when a checkpoint was saved.

    Raises:
        ValueError, SafetensorError, OSError: see :meth:`TrainingState.load`.
    """
    with safe_open(path, framework="pt") as file:
        return int(_metadata(path, file.metadata())["iteration"])


def _metadata(path: Path, metadata: dict[str, str] | None) -> dict[str, str]:
    if not metadata or not {"iteration", "plan"} <= metadata.keys():
        raise ValueError(f"{path.name} is not the checkpoint of a training")
    return metadata


def _plan_of(text: str) -> TrainingPlan:
    """A checkpoint's plan. A field that it lacks has its default; one that is unknown here is
    another version's, and who knows what it did."""
    try:
        return TrainingPlan.model_validate(json.loads(text))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ValueError(f"the checkpoint's plan cannot be read: {faults}") from error


def _differences(saved: TrainingPlan, wanted: TrainingPlan) -> list[str]:
    return [
        f"{name} ({getattr(saved, name)!s} there, {value!s} here)"
        for name, value in wanted
        if getattr(saved, name) != value
    ]


def _told(shape: torch.Size | None) -> str:
    return "missing" if shape is None else f"of shape {tuple(shape)}"


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the parameter's order in memory: fused Adam reads both as they lie there."""
    if moment.shape != parameter.shape:  # the number of steps
        return moment
    return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment).detach()


class BatchOrder(Protocol):
    """What the order of a training's clips follows from."""

    @property
    def batch_size(self) -> int:
        """Clips of one step."""

    @property
    def seed(self) -> int:
        """Of the permutations."""


def batch_indices(plan: BatchOrder, iteration: int, n_clips: int) -> Tensor:
    """Clips of one iteration: every epoch is a new permutation, its incomplete last batch dropped.

    Returns:
        (batch_size,), int64; the whole corpus, repeated, if it is smaller than a batch.
    """
    per_epoch = max(1, n_clips // plan.batch_size)
    epoch, position = divmod(iteration, per_epoch)
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + epoch)
    order = torch.randperm(n_clips, generator=generator)
    if n_clips < plan.batch_size:
        return order[torch.arange(plan.batch_size) % n_clips]
    return order[position * plan.batch_size : (position + 1) * plan.batch_size]


def adversary(state: TrainingState, clips: int, first: int = 0) -> Adversary:
    """Who a batch of so many clips is defended against in the iteration that ``state`` is at.

    What it draws follows from the seed, the iteration and a clip's place in the batch alone: that
    of the first of these clips is ``first``.
    """
    plan = state.plan
    rng = Rng(plan.seed, range(first, first + clips), f"training/{state.iteration}")
    return Adversary(state.net, plan.attack, plan.strength(state.iteration), rng)


class TrainingClips(Protocol):
    """What a training learns from."""

    @property
    def labels(self) -> Tensor:
        """Of the clips, (clips,), int64, on the device of the training."""

    def __len__(self) -> int: ...

    def batch(
        self, clips: Tensor, frames: int, iteration: int, first: int, /
    ) -> tuple[Tensor, Tensor]:
        """Features (batch, frames, mels) float32, before z-scoring, and labels (batch,).

        ``first`` is the place of the first of these clips in the batch of the iteration.
        """

    def to(self, device: torch.device | str, /) -> Self:
        """The same clips, whose batches lie on another device."""


def _batches(plan: TrainingPlan, data: TrainingClips) -> Callable[[int], Tensor]:
    """What gives the clips of an iteration."""
    if plan.sampling == "balanced":
        return BalancedBatches(data.labels, plan.batch_size, plan.seed).indices
    return lambda iteration: batch_indices(plan, iteration, len(data))


def train(
    state: TrainingState,
    data: TrainingClips,
    standardizer: Standardizer,
    on_step: Callable[[Step], None],
    *,
    emotions: Sequence[str] = (),
    ranks: Ranks = ALONE,
) -> SpectrogramNet:
    """Run the plan of ``state`` from its iteration to the end.

    Args:
        state: where the run stands; advanced in place, so that ``on_step`` may save it.
        data: the training split, on the device of the network.
        standardizer: z-score of the training split, on that device.
        on_step: called after every iteration; an exception it raises stops the run between two
            iterations, with ``state`` consistent.
        emotions: names of the classes in their order, which a plan asks for that names some of
            them in ``class_weights``.
        ranks: this process among those that train the network together, each of which calls this
            with the same state and the same clips.

    Returns:
        The last model, in eval mode: no selection on the development split, as in the paper.

    Raises:
        ValueError: see :func:`models.class_weights.class_weights`.
        Diverged: the loss is no longer finite; or the last step, after which no loss is
            taken, left weights or statistics that are not.
    """
    plan, net = state.plan, state.net
    names = emotions or [str(number) for number in range(plan.n_classes)]
    balanced = plan.sampling == "balanced"
    weights = class_weights(plan.class_weights, data.labels, names, equally_often=balanced)
    clean, defended = CLEAN.weighing(weights), plan.defense.weighing(weights)
    batch = _batches(plan, data)
    share = ranks.share(plan.batch_size)
    while state.iteration < plan.iterations:
        net.train()  # each time: whoever watches may have evaluated it
        for group in state.optimizer.param_groups:
            group["lr"] = plan.rate(state.iteration)
        chosen = batch(state.iteration)[share]
        features, y = data.batch(chosen, plan.frames, state.iteration, share.start)
        x = standardizer(features)

        adversarial = state.iteration >= plan.first_adversarial
        defense = defended if adversarial else clean
        fused = adversarial and plan.crafting == "fused"
        state.optimizer.zero_grad()  # before the loss: a fused one leaves gradients behind
        with torch.autocast(x.device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"):
            loss_of = defense.fused_loss if fused else defense.loss
            loss = loss_of(net, x, y, adversary(state, len(y), share.start))
        loss.backward()  # type: ignore[no-untyped-call]
        loss = ranks.average(net, loss)
        if ranks.rank == 0:  # which speaks for all, and is not to be left waiting for the others
            state.losses.add(state.iteration, loss)
            if state.losses.due:
                state.check_losses()
        state.optimizer.step()

        rate = plan.rate(state.iteration)
        state.iteration += 1
        on_step(Step(state.iteration, rate, adversarial, partial(_read, state, loss)))
    state.check_losses()
    broken = not_finite(net)
    if broken is not None:
        raise Diverged(
            f"the training ended with {broken} holding NaN or infinity: lower learning_rate",
            state.iteration,
        )
    return net.eval()


def _read(state: TrainingState, loss: Tensor) -> float:
    state.check_losses()
    return float(loss)


def not_finite(net: nn.Module) -> str | None:
    """Name of a weight or statistic that holds NaN or infinity; None if none does."""
    for name, value in net.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            return name
    return None
