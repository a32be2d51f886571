"""TRADES takes the step of the Adversarial Robustness Toolbox (ART), and what training on PGD
crafts is what Foolbox crafts from the same start."""

import copy
import logging

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.defenses.trades import Trades
from models.objectives import Objective
from tests.models.defenses.by_hand import adversary
from tests.models.tiny import TinyNet, clips, tiny_net

# Foolbox imports scipy by names that scipy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import .* scipy:DeprecationWarning")

TOLERANCE = 1e-6
EPSILON, STEPS, STEP = 0.5, 4, 0.3
BOX = (-1000.0, 1000.0)


class Crafted:
    """What ART is given for an attack: our adversarial batch."""

    def __init__(self, x_adv: Tensor) -> None:
        self.x_adv = x_adv

    def generate(self, x: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.x_adv.numpy()

    def set_params(self, **_: object) -> None:
        """ART configures its attacks."""


def after_arts_step(net: TinyNet, x: Tensor, y: Tensor, x_adv: Tensor, beta: float) -> nn.Module:
    """The network after one batch of ART's TRADES trainer, by plain gradient descent."""
    from art.defences.trainer import AdversarialTrainerTRADESPyTorch
    from art.estimators.classification import PyTorchClassifier

    logging.getLogger("art").setLevel(logging.ERROR)
    classifier = PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
        input_shape=tuple(x.shape[1:]),
        nb_classes=3,
        clip_values=BOX,
        device_type="cpu",
    )
    trainer = AdversarialTrainerTRADESPyTorch(classifier, Crafted(x_adv), beta=beta)
    trainer._batch_process(x.numpy(), y.numpy())
    return net


@pytest.mark.parametrize("beta", [1.0, 6.0])
def test_a_step_of_trades_is_arts(beta: float) -> None:
    """Weights and the statistics of batch norm."""
    x, y = clips()
    ours = tiny_net().train()
    theirs = copy.deepcopy(ours)
    defense = Trades(beta=beta, steps=STEPS)
    x_adv = defense.crafted(x, adversary(ours, len(x), EPSILON))

    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    loss = defense.loss(ours, x, y, adversary(ours, len(x), EPSILON))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()

    expected = after_arts_step(theirs, x, y, x_adv, beta).state_dict()
    before = tiny_net().state_dict()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=TOLERANCE)
        assert not torch.equal(value, before[name]), name


def test_training_on_pgd_crafts_what_foolbox_does() -> None:
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.models.pytorch import PyTorchModel

    x, y = clips()
    net = tiny_net().eval()
    attack = LinfProjectedGradientDescentAttack(
        abs_stepsize=STEP * EPSILON, steps=STEPS, random_start=False
    )
    theirs, _, _ = attack(PyTorchModel(net, bounds=BOX, device="cpu"), x, y, epsilons=EPSILON)
    ours = adversary(net, len(x), EPSILON).ascend(x, x, Objective(y).values, steps=STEPS, step=STEP)
    assert float((ours - theirs).abs().max()) <= TOLERANCE
