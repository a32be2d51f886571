"""The training of a detector: clean clips beside what the attack makes of them on the model.

A run is a function of its recipe, the model and the data: batches and the attack's draws follow
from the seed and the iteration alone, so that on one CPU a run continued from a checkpoint ends
with the very same weights.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.corpus.dataset import Dataset
from models.defenses import Adversary
from models.detectors.network import DetectorNet
from models.detectors.plan import DetectorRecipe
from models.features import Standardizer
from models.rng import Rng
from models.training import batch_indices


@dataclass(frozen=True)
class DetectorStep:
    """One iteration, as shown to whoever watches."""

    iteration: int
    loss: float
    learning_rate: float


class DetectorState:
    """Network, optimiser and the number of iterations done.

    Args:
        recipe: how to train.
        model_sha256: of the weights of the model that it is for.
    """

    def __init__(
        self, recipe: DetectorRecipe, model_sha256: str, device: torch.device | str = "cpu"
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            self.net = DetectorNet()
        self.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=recipe.learning_rate, fused=True
        )
        self.recipe = recipe
        self.model_sha256 = model_sha256
        self.iteration = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill at any moment leaves the old one or the new one, whole."""
        tensors = {f"net.{name}": one for name, one in self.net.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": one for name, one in moments.items()}
        draft = path.with_suffix(".draft")
        try:
            save_file(
                {name: one.detach().cpu().contiguous() for name, one in tensors.items()},
                draft,
                {"iteration": str(self.iteration), "run": self._run()},
            )
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of this run. What is refused leaves this state as it was.

        Raises:
            ValueError: it is a checkpoint of something else.
            SafetensorError: the file is damaged.
            OSError: it cannot be read.
        """
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if metadata.get("run") != self._run():
            raise ValueError(f"{path.name} is not a checkpoint of this training of a detector")
        iteration = int(metadata["iteration"])
        parameters = list(self.net.parameters())
        adam = self.optimizer.state_dict()
        adam["state"] = {}
        for name, one in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".")
                like = _laid_out_as(parameters[int(index)], one)
                adam["state"].setdefault(int(index), {})[moment] = like
        self.net.load_state_dict(
            {name[4:]: one for name, one in tensors.items() if name.startswith("net.")}
        )
        self.optimizer.load_state_dict(adam)
        self.iteration = iteration

    def _run(self) -> str:
        run = {"model": self.model_sha256, "recipe": self.recipe.model_dump(mode="json")}
        return json.dumps(run, sort_keys=True)


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the parameter's order in memory: fused Adam reads both as they lie there."""
    if moment.shape != parameter.shape:  # the number of steps
        return moment
    return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment).detach()


def train_detector(
    state: DetectorState,
    model: SpectrogramNet,
    frames: int,
    data: Dataset,
    standardizer: Standardizer,
    on_step: Callable[[DetectorStep], None],
) -> DetectorNet:
    """Run the recipe of ``state`` from its iteration to the end.

    The loss is the binary cross-entropy of as many clean as attacked clips (Metzen et al., ICLR
    2017). The model is in eval mode and does not change.

    Args:
        state: where the run stands; advanced in place.
        model: that the attack is carried out on.
        frames: window of the model.
        data: what is learnt from, as the model's front end hears it.
        standardizer: the model's z-score.
        on_step: called after every iteration; what it raises stops the run between two of them.

    Returns:
        The last detector, in eval mode.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    recipe, net = state.recipe, state.net
    while state.iteration < recipe.iterations:
        net.train()
        rate = recipe.rate(state.iteration)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        chosen = batch_indices(recipe, state.iteration, len(data))
        features, y = data.batch(chosen.to(data.offsets.device), frames)
        x = standardizer(features)
        rng = Rng(recipe.seed, range(len(y)), f"detector/{state.iteration}")
        attacked = Adversary(model, recipe.attack, recipe.epsilon, rng).batch(x, y)
        loss = detection_loss(net(torch.cat([x, attacked])), len(x))
        value = loss.item()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {value} in iteration {state.iteration}: the model's gradient is"
                f" not finite, or learning_rate ({recipe.learning_rate}) is too high"
            )
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        state.iteration += 1
        on_step(DetectorStep(state.iteration, value, rate))
    return net.eval()


def detection_loss(logits: Tensor, clean: int) -> Tensor:
    """Binary cross-entropy of logits (batch,), of which the first ``clean`` are of clean clips."""
    wanted = torch.ones_like(logits)
    wanted[:clean] = 0.0
    return functional.binary_cross_entropy_with_logits(logits, wanted)
