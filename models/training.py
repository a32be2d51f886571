"""Training with or without a defence: one flat loop (protocol of the paper, Sec. 4.3).

A run is a function of its plan and its data: batches follow from the seed and the iteration alone,
so that a run continued from any checkpoint draws the very batches it would have drawn, and on one
CPU ends with the very same weights.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Final, get_args

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.architectures import ARCHITECTURES, SpectrogramNet, build
from models.architectures.base import MIN_FRAMES
from models.attacks import AttackLabels, fgsm, frozen
from models.checkpoint import MAX_CLASSES, MAX_FRAMES
from models.corpus.dataset import Dataset
from models.defenses import DEFENSES, single
from models.defenses.similarity import Distance
from models.features import FRAMES, Standardizer

WHOLE: Final[dict[str, tuple[int, int]]] = {
    "n_classes": (2, MAX_CLASSES),
    "iterations": (1, 2**31 - 1),
    "adversarial_from": (0, 2**31 - 1),
    "batch_size": (1, 2**31 - 1),
    "decay_every": (1, 2**31 - 1),
    "cooldown": (0, 2**31 - 1),
    "frames": (MIN_FRAMES, MAX_FRAMES),
    "seed": (0, 2**31 - 1),
}
"""What a plan's whole numbers may be, ends included."""


@dataclass(frozen=True)
class Defense:
    """A training loss and its weights (Eq. 3 and 4).

    Attributes:
        type: a key of ``models.defenses.DEFENSES``; "single" trains on clean data alone.
        alpha: weight of the clean loss of "vanilla".
        beta, gamma: weights of the clean and the adversarial loss of "similarity".
        distance: how "similarity" compares embeddings.

    Raises:
        ValueError: the type or the distance is unknown, or the weights are not such that each term
            of the loss has a weight of at least 0.
    """

    type: str = "single"
    alpha: float = 0.5
    beta: float = 0.4
    gamma: float = 0.4
    distance: Distance = "mse"

    def __post_init__(self) -> None:
        if self.type not in DEFENSES:
            raise ValueError(f"unknown defense {self.type!r}: choose one of {sorted(DEFENSES)}")
        if not 0 <= self.alpha <= 1:  # refuses NaN too
            raise ValueError(f"alpha is {self.alpha}: it must lie in [0, 1]")
        if not (self.beta >= 0 and self.gamma >= 0 and self.beta + self.gamma <= 1):
            raise ValueError(
                f"beta {self.beta} and gamma {self.gamma}: both must be at least 0 and their sum "
                "at most 1"
            )
        if self.distance not in get_args(Distance):
            raise ValueError(
                f"unknown distance {self.distance!r}: choose one of {list(get_args(Distance))}"
            )

    @property
    def weights(self) -> dict[str, Any]:
        """The fields that this type's loss takes, by name."""
        taken = signature(DEFENSES[self.type]).parameters
        return {name: value for name, value in asdict(self).items() if name in taken}

    def loss(self, net: SpectrogramNet, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
        """The scalar to minimise."""
        if self.type == "single":
            return single(net, x, y)
        return DEFENSES[self.type](net, x, x_adv, y, **self.weights)

    def to_dict(self) -> dict[str, Any]:
        """The type and the weights that this type uses."""
        return {"type": self.type, **self.weights}


@dataclass(frozen=True)
class TrainingPlan:
    """What determines a run, together with the data. Defaults are the paper's, see PAPER.md.

    Attributes:
        architecture: a key of ``models.architectures.ARCHITECTURES``.
        n_classes: number of emotions.
        defense: the loss.
        epsilon: FGSM step that the adversarial batches are made with.
        clip: eta of Eq. 2.
        labels: what the attack moves away from: the paper writes the true label, the authors' code
            takes the model's prediction.
        iterations: optimiser steps.
        adversarial_from: iteration at which adversarial data enter; None is 1,000, or a tenth of a
            run shorter than 10,000 iterations.
        batch_size: clips a step.
        learning_rate: of Adam.
        decay, decay_every: the rate is multiplied by ``decay`` every ``decay_every`` iterations.
        cooldown: over so many last iterations the rate also falls linearly to zero (Hägele et al.,
            NeurIPS 2024, Sec. 3). The paper has none and needs none: after its 10,000 iterations
            the rate is spent. A run that is cut short ends on a much better model with it.
        frames: window that clips are tiled or cut to.
        seed: of the initial weights and of the order of the clips.

    Raises:
        ValueError: a field is out of its range; a training would fail on it late, or learn nothing.
    """

    architecture: str
    n_classes: int
    defense: Defense = field(default_factory=Defense)
    epsilon: float = 0.02
    clip: float | None = 0.1
    labels: AttackLabels = "true"
    iterations: int = 10_000
    adversarial_from: int | None = None
    batch_size: int = 16
    learning_rate: float = 1e-3
    decay: float = 0.9
    decay_every: int = 100
    cooldown: int = 0
    frames: int = FRAMES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"unknown architecture {self.architecture!r}: choose one of {sorted(ARCHITECTURES)}"
            )
        if self.labels not in get_args(AttackLabels):
            raise ValueError(
                f"labels is {self.labels!r}: choose one of {list(get_args(AttackLabels))}"
            )
        for name, (lowest, highest) in WHOLE.items():
            value = getattr(self, name)
            if name == "adversarial_from" and value is None:
                continue
            if type(value) is not int or not lowest <= value <= highest:
                raise ValueError(
                    f"{name} is {value!r}: give a whole number from {lowest} to {highest}"
                )
        self._check_sizes()

    def _check_sizes(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"epsilon is {self.epsilon}: give a finite number of at least 0")
        if self.clip is not None and not (math.isfinite(self.clip) and self.clip > 0):
            raise ValueError(f"clip is {self.clip}: give a finite number above 0, or None")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate is {self.learning_rate}: give a finite one above 0")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is {self.decay}: it must lie in (0, 1]")

    @property
    def first_adversarial(self) -> int:
        """Iteration at which adversarial data enter; a single training never gets there."""
        if self.defense.type == "single":
            return self.iterations
        if self.adversarial_from is not None:
            return self.adversarial_from
        return min(1_000, self.iterations // 10)

    def rate(self, iteration: int) -> float:
        """Learning rate of this iteration."""
        rate = self.learning_rate * self.decay ** (iteration // self.decay_every)
        left = self.iterations - iteration
        return rate * left / self.cooldown if left < self.cooldown else rate

    @property
    def shared_until(self) -> int:
        """Up to this iteration, plans of the same clean phase are the same run."""
        return min(self.first_adversarial, self.iterations - self.cooldown)

    def clean_phase(self) -> dict[str, Any]:
        """What determines a run up to ``shared_until``: plans that agree here share it."""
        return {
            "architecture": self.architecture,
            "n_classes": self.n_classes,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "decay_every": self.decay_every,
            "frames": self.frames,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Step:
    """One iteration, as shown to whoever watches."""

    iteration: int
    loss: float
    learning_rate: float
    adversarial: bool


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

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill at any moment leaves the old one or the new one, whole."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        metadata = {"iteration": str(self.iteration), "plan": json.dumps(asdict(self.plan))}
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

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of this plan, or of a plan with the same clean phase.

        What is refused leaves this state as it was.

        Raises:
            ValueError: the file is no checkpoint of a training, it belongs to another run, or it
                was saved of another network.
            SafetensorError: the file is damaged.
            OSError: it cannot be read.
        """
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if not metadata or not {"iteration", "plan"} <= metadata.keys():
            raise ValueError(f"{path.name} is not the checkpoint of a training")
        iteration = int(metadata["iteration"])
        self._check_same_run(json.loads(metadata["plan"]), iteration)
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

    def _check_same_run(self, saved: dict[str, Any], iteration: int) -> None:
        if saved == json.loads(json.dumps(asdict(self.plan))):
            return
        try:
            theirs = TrainingPlan(**{**saved, "defense": Defense(**saved["defense"])})
        except (TypeError, KeyError) as error:  # the fields of another version
            raise ValueError(f"the checkpoint's plan cannot be read: {error}") from error
        clean = iteration <= min(theirs.shared_until, self.plan.shared_until)
        if not clean or theirs.clean_phase() != self.plan.clean_phase():
            raise ValueError(
                f"the checkpoint at iteration {iteration} belongs to another plan: {saved}"
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


def _told(shape: torch.Size | None) -> str:
    return "missing" if shape is None else f"of shape {tuple(shape)}"


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the parameter's order in memory: fused Adam reads both as they lie there."""
    if moment.shape != parameter.shape:  # the number of steps
        return moment
    return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment).detach()


def batch_indices(plan: TrainingPlan, iteration: int, n_clips: int) -> Tensor:
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


def adversarial_batch(plan: TrainingPlan, net: SpectrogramNet, x: Tensor, y: Tensor) -> Tensor:
    """FGSM on the network as it is now, in eval mode."""
    if plan.labels == "predicted":
        with frozen(net), torch.no_grad():
            y = net(x).argmax(dim=1)
    return fgsm(net, x, y, plan.epsilon, plan.clip)


def train(
    state: TrainingState,
    data: Dataset,
    standardizer: Standardizer,
    on_step: Callable[[Step], None],
) -> SpectrogramNet:
    """Run the plan of ``state`` from its iteration to the end.

    Args:
        state: where the run stands; advanced in place, so that ``on_step`` may save it.
        data: the training split, on the device of the network.
        standardizer: z-score of the training split, on that device.
        on_step: called after every iteration; an exception it raises stops the run between two
            iterations, with ``state`` consistent.

    Returns:
        The last model, in eval mode: no selection on the development split, as in the paper.

    Raises:
        FloatingPointError: the loss is no longer finite; or the last step, after which no loss is
            taken, left weights or statistics that are not.
    """
    plan, net = state.plan, state.net
    while state.iteration < plan.iterations:
        net.train()  # each time: whoever watches may have evaluated it
        for group in state.optimizer.param_groups:
            group["lr"] = plan.rate(state.iteration)
        features, y = data.batch(batch_indices(plan, state.iteration, len(data)), plan.frames)
        x = standardizer(features)

        adversarial = state.iteration >= plan.first_adversarial
        if adversarial:
            loss = plan.defense.loss(net, x, adversarial_batch(plan, net, x, y), y)
        else:
            loss = single(net, x, y)
        value = loss.item()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {value} in iteration {state.iteration}: "
                f"lower learning_rate ({plan.learning_rate}) or epsilon ({plan.epsilon})"
            )
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()

        rate = plan.rate(state.iteration)
        state.iteration += 1
        on_step(Step(state.iteration, value, rate, adversarial))
    _check_finite(net)
    return net.eval()


def _check_finite(net: SpectrogramNet) -> None:
    for name, value in net.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise FloatingPointError(
                f"the training ended with {name} holding NaN or infinity: lower learning_rate"
            )
