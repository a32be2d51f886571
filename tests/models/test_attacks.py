"""Attacks are pure functions: what they answer, and that nothing else changes."""

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attacks import ATTACKS, GridAttack, fgsm, fgsm_grid, frozen, input_gradient, pgd
from tests.models.lively import lively
from tests.models.tiny import clips, tiny_net

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]

EPSILONS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1)


def random_pgd(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    generator = torch.Generator(x.device).manual_seed(5)
    return pgd(net, x, y, 0.1, 0.04, 3, random_start=True, generator=generator)


ONE_BY_ONE: dict[str, Attack] = {
    "fgsm": lambda net, x, y: fgsm(net, x, y, 0.05),
    "fgsm-clipped": lambda net, x, y: fgsm(net, x, y, 0.2, clip=0.1),
    "pgd": lambda net, x, y: pgd(net, x, y, 0.1, 0.04, 3),
    "pgd-random-start": random_pgd,
}
IN_A_GRID: dict[str, Attack] = {
    f"{name}-grid": lambda net, x, y, grid=grid: grid(net, x, y, EPSILONS, None)  # type: ignore[misc]
    for name, grid in ATTACKS.items()
}
EVERY_ATTACK = ONE_BY_ONE | IN_A_GRID

every_attack = pytest.mark.parametrize("attack", EVERY_ATTACK.values(), ids=EVERY_ATTACK)
one_by_one = pytest.mark.parametrize("attack", ONE_BY_ONE.values(), ids=ONE_BY_ONE)


class Flat(nn.Module):
    """A smooth classifier of input of any rank."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 6), nn.Tanh(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x.flatten(1))
        return logits


class Falling(nn.Module):
    """A network that fails in its second layer, or on its way back."""

    def __init__(self, net: nn.Module, backward: bool) -> None:
        super().__init__()
        self.net = net
        self.backward = backward

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        if not self.backward:
            raise RuntimeError("out of memory")
        logits.register_hook(self.fall)  # type: ignore[no-untyped-call]
        return logits

    def fall(self, gradient: Tensor) -> Tensor:
        raise RuntimeError("out of memory")


class Counting(nn.Module):
    """Counts the forward passes of a network and the backward passes that reach its input."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.forwards = 0
        self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += 1
        if x.requires_grad:
            x.register_hook(self.arrived)  # type: ignore[no-untyped-call]
        logits: Tensor = self.net(x)
        return logits

    def arrived(self, gradient: Tensor) -> None:
        self.backwards += 1


def state_of(net: nn.Module) -> dict[str, Any]:
    """All that an attack could change, copied."""
    state: dict[str, Any] = {"flags": [module.training for module in net.modules()]}
    for name, parameter in net.named_parameters():
        grad = None if parameter.grad is None else parameter.grad.tolist()
        state[name] = (id(parameter), parameter.requires_grad, grad, parameter.tolist())
    for name, buffer in net.named_buffers():
        state[name] = (id(buffer), buffer.requires_grad, buffer.tolist())
    return state


def lived_in(net: nn.Module) -> nn.Module:
    """Mixed training flags, one frozen parameter, gradients on some: as in the middle of a run."""
    net.train()
    for index, module in enumerate(net.modules()):
        module.training = index % 3 != 1
    for index, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(index != 1)
        if index % 2 == 0:
            parameter.grad = torch.full_like(parameter, 0.5)
    return net


class TestTheNetworkStaysAsItWas:
    @every_attack
    def test_parameters_buffers_gradients_and_flags(
        self, attack: Attack, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in clips())
        net = lived_in(tiny_net().to(device))
        before = state_of(net)
        attack(net, x, y)
        assert state_of(net) == before

    @pytest.mark.parametrize("training", [True, False])
    @every_attack
    def test_in_train_and_in_eval_mode(self, attack: Attack, training: bool) -> None:
        net = tiny_net().train(training)
        before = state_of(net)
        attack(net, *clips())
        assert state_of(net) == before

    @pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
    @every_attack
    def test_when_the_network_raises(self, attack: Attack, backward: bool) -> None:
        net = lived_in(Falling(tiny_net(), backward))
        before = state_of(net)
        with pytest.raises(RuntimeError, match="out of memory"):
            attack(net, *clips())
        assert state_of(net) == before

    def test_frozen_is_in_eval_mode_without_parameter_gradients(self) -> None:
        net = lived_in(tiny_net())
        with frozen(net) as inside:
            assert inside is net
            assert not any(module.training for module in net.modules())
            assert not any(parameter.requires_grad for parameter in net.parameters())


class TestTheInput:
    @every_attack
    def test_is_untouched(self, attack: Attack, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips())
        x_before, y_before = x.clone(), y.clone()
        attack(tiny_net().to(device), x, y)
        assert torch.equal(x, x_before)
        assert torch.equal(y, y_before)
        assert not x.requires_grad

    @every_attack
    def test_may_require_gradients_and_gets_none(self, attack: Attack) -> None:
        x, y = clips()
        x.requires_grad_(True)
        x_adv = attack(tiny_net(), x * 1, y)
        assert x.grad is None
        assert not x_adv.requires_grad


class TestTheAnswer:
    @every_attack
    def test_is_detached_and_new(self, attack: Attack) -> None:
        x, y = clips()
        x_adv = attack(tiny_net(), x, y)
        assert x_adv.grad_fn is None
        assert not x_adv.requires_grad
        assert x_adv.data_ptr() != x.data_ptr()

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @one_by_one
    def test_has_shape_dtype_and_device_of_the_input(
        self, attack: Attack, dtype: torch.dtype, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in clips())
        x = x.to(dtype)
        x_adv = attack(tiny_net().to(device, dtype), x, y)
        assert (x_adv.shape, x_adv.dtype, x_adv.device) == (x.shape, dtype, x.device)

    @pytest.mark.parametrize("shape", [(4, 6), (4, 2, 3), (4, 1, 2, 3), (4, 1, 2, 1, 3)])
    @every_attack
    def test_any_rank(self, attack: Attack, shape: tuple[int, ...]) -> None:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        x_adv = attack(Flat(6), x, torch.tensor([0, 1, 2, 0]))
        assert x_adv.shape[-len(shape) :] == shape
        assert bool((x_adv != x).any())

    @every_attack
    def test_is_the_same_with_gradients_switched_off(self, attack: Attack) -> None:
        x, y = clips()
        expected = attack(tiny_net(), x, y)
        with torch.no_grad():
            assert torch.equal(attack(tiny_net(), x, y), expected)

    @one_by_one
    def test_raises_the_loss_of_every_clip(self, attack: Attack) -> None:
        x, y = clips(8)
        net = tiny_net().eval()
        with torch.no_grad():
            before = functional.cross_entropy(net(x), y, reduction="none")
            after = functional.cross_entropy(net(attack(net, x, y)), y, reduction="none")
        assert bool((after > before).all())

    def test_epsilon_zero_gives_an_equal_copy(self) -> None:
        x, y = clips()
        for x_adv in (fgsm(tiny_net(), x, y, 0.0), pgd(tiny_net(), x, y, 0.0, 0.1, 3)):
            assert torch.equal(x_adv, x)
            assert x_adv.data_ptr() != x.data_ptr()


registered = pytest.mark.parametrize("grid", ATTACKS.values(), ids=ATTACKS)


class TestEveryRegisteredAttack:
    """The first three rules of docs/adding-an-attack.md, beside the tests of purity above."""

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @registered
    def test_answers_one_input_for_each_epsilon(
        self, grid: GridAttack, dtype: torch.dtype, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in clips())
        x_adv = grid(tiny_net().to(device, dtype), x.to(dtype), y, EPSILONS, None)
        assert (x_adv.shape, x_adv.dtype) == ((len(EPSILONS), *x.shape), dtype)
        assert x_adv.device == x.device

    @registered
    def test_epsilon_zero_answers_an_equal_copy(self, grid: GridAttack) -> None:
        x, y = clips()
        first, last = grid(tiny_net(), x, y, [0.0, 0.1], None)
        assert torch.equal(first, x)
        assert not torch.equal(last, x)
        first += 1
        assert torch.equal(x, clips()[0])

    @registered
    def test_attacks_a_clip_in_a_batch_as_it_does_alone(self, grid: GridAttack) -> None:
        x, y = clips(6)
        x, net = x.double(), tiny_net().double().eval()
        together = grid(net, x, y, [0.05, 0.1], 0.08)
        for i in range(6):
            alone = grid(net, x[i : i + 1], y[i : i + 1], [0.05, 0.1], 0.08)
            torch.testing.assert_close(together[:, i : i + 1], alone, rtol=1e-9, atol=1e-12)

    @registered
    def test_raises_the_loss_the_more_the_larger_epsilon_is(self, grid: GridAttack) -> None:
        x, y = clips(8)
        net = tiny_net().eval()
        losses = [
            float(functional.cross_entropy(net(x_adv), y).detach())
            for x_adv in grid(net, x, y, [0.0, 0.02, 0.05, 0.1], None)
        ]
        assert losses == sorted(set(losses))

    @registered
    def test_knows_no_box(self, grid: GridAttack) -> None:
        x, y = clips()
        (x_adv,) = grid(tiny_net(), 10 * x, y, [0.5], None)
        assert float(x_adv.min()) < -1
        assert float(x_adv.max()) > 1


class TestSizes:
    @pytest.mark.parametrize("size", [-0.1, math.nan, math.inf, -math.inf])
    def test_that_make_no_attack_are_refused_by_name(self, size: float) -> None:
        net, (x, y) = tiny_net(), clips()
        refused: list[tuple[str, Callable[[], Tensor]]] = [
            ("epsilon", lambda: fgsm(net, x, y, size)),
            ("clip", lambda: fgsm(net, x, y, 0.1, clip=size)),
            ("epsilon", lambda: fgsm_grid(net, x, y, [0.1, size])),
            ("clip", lambda: fgsm_grid(net, x, y, [0.1], size)),
            ("epsilon", lambda: pgd(net, x, y, size, 0.1, 1)),
            ("step", lambda: pgd(net, x, y, 0.1, size, 1)),
        ]
        for name, attack in refused:
            with pytest.raises(ValueError, match=f"^{name} is {size}: give a finite number"):
                attack()

    def test_a_grid_needs_one(self) -> None:
        with pytest.raises(ValueError, match="epsilons is empty: give at least one"):
            fgsm_grid(tiny_net(), *clips(), [])

    def test_a_grid_may_be_an_array(self) -> None:
        x, y = clips()
        strengths = torch.linspace(0, 0.1, 3)
        expected = fgsm_grid(tiny_net(), x, y, strengths.tolist())
        given: Any = strengths.numpy()
        assert torch.equal(fgsm_grid(tiny_net(), x, y, given), expected)

    def test_a_negative_number_of_steps_is_refused(self) -> None:
        with pytest.raises(ValueError, match="steps is -1"):
            pgd(tiny_net(), *clips(), 0.1, 0.1, -1)


class TestInputGradient:
    def test_is_of_the_sum_so_it_is_the_same_in_every_batch(self, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips(6))
        x, net = x.double(), tiny_net().double().to(device).eval()
        together = input_gradient(net, x, y)
        for i in range(6):
            alone = input_gradient(net, x[i : i + 1], y[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-15)

    def test_is_the_slope_of_the_loss(self) -> None:
        x = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        y, net = torch.tensor([0, 2]), Flat(5).double()
        gradient = input_gradient(net, x, y)
        step = torch.zeros_like(x)
        step[1, 2] = 1e-6
        with torch.no_grad():
            higher, lower = (
                functional.cross_entropy(net(x + sign * step), y, reduction="sum")
                for sign in (1, -1)
            )
        assert float((higher - lower) / 2e-6) == pytest.approx(float(gradient[1, 2]), rel=1e-5)

    def test_needs_no_trainable_parameter(self) -> None:
        x, y = clips()
        net = tiny_net().eval().requires_grad_(False)
        assert bool((input_gradient(net, x, y) != 0).any())


class TestAGradientThatIsNotANumber:
    """It must not look like a gradient of zero."""

    class Rooted(nn.Module):
        """The slope of a square root of zero times zero is no number."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten(1).mean(1), (0 * x[:, 0, 0]).sqrt()], dim=1)

    @one_by_one
    def test_stays_one(self, attack: Attack) -> None:
        x, y = clips()
        x_adv = attack(self.Rooted(), x, y * 0)
        assert bool(x_adv[:, 0, 0].isnan().all())

    def test_and_the_other_values_move(self) -> None:
        x, y = clips()
        moved = fgsm(self.Rooted(), x, y * 0, 0.1) != x
        assert bool(moved.all())
        assert int(fgsm(self.Rooted(), x, y * 0, 0.1).isnan().sum()) == len(x)


class TestFgsm:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 3.0])
    def test_moves_each_value_by_epsilon_along_the_gradients_sign(
        self, epsilon: float, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in clips())
        net = tiny_net().to(device)
        with frozen(net):
            expected = x + epsilon * input_gradient(net, x, y).sign()
        assert torch.equal(fgsm(net, x, y, epsilon), expected)

    def test_moves_away_from_the_given_label(self) -> None:
        """Of two classes, away from one is towards the other."""
        x, _ = clips()
        net = tiny_net(n_classes=2)
        zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
        away = fgsm(net, x, zeros, 0.1)
        torch.testing.assert_close(away - x, -(fgsm(net, x, ones, 0.1) - x))

    def test_clip_bounds_the_change(self) -> None:
        x, y = clips()
        net = tiny_net()
        torch.testing.assert_close(fgsm(net, x, y, 0.3, clip=0.1), fgsm(net, x, y, 0.1))
        assert torch.equal(fgsm(net, x, y, 0.05, clip=0.1), fgsm(net, x, y, 0.05))

    def test_knows_no_box(self) -> None:
        x, y = clips()
        x_adv = fgsm(tiny_net(), 10 * x, y, 0.5)
        assert float(x_adv.min()) < -1
        assert float(x_adv.max()) > 1

    @pytest.mark.parametrize("clip", [None, 0.05])
    def test_the_grid_equals_one_by_one(self, clip: float | None, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips())
        net = tiny_net().to(device)
        grid = fgsm_grid(net, x, y, EPSILONS, clip)
        assert grid.shape == (6, *x.shape)
        for epsilon, x_adv in zip(EPSILONS, grid, strict=True):
            assert torch.equal(x_adv, fgsm(net, x, y, epsilon, clip))

    @pytest.mark.parametrize("name", ["cnn4", "resnet50", "vgg16"])
    def test_every_network_is_attacked_alike_on_any_device(
        self, name: str, device: torch.device
    ) -> None:
        net = lively(name).float()
        x, y = clips(n=3, mels=64)
        there = fgsm(deepcopy(net).to(device), x.to(device), y.to(device), 0.1)
        different = (there.cpu() - fgsm(net, x, y, 0.1)).abs() > 1e-6
        assert different.float().mean() < 1e-3  # signs of gradients that are next to zero

    def test_the_grid_takes_one_forward_and_one_backward(self) -> None:
        net = Counting(tiny_net())
        fgsm_grid(net, *clips(), EPSILONS)
        assert (net.forwards, net.backwards) == (1, 1)


class TestPgd:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 0.3])
    def test_one_step_of_epsilon_is_fgsm_to_the_bit(
        self, epsilon: float, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in clips())
        x[0] *= 1e-3
        net = tiny_net().to(device)
        assert torch.equal(pgd(net, x, y, epsilon, epsilon, 1), fgsm(net, x, y, epsilon))

    def test_takes_one_backward_a_step(self) -> None:
        net = Counting(tiny_net())
        pgd(net, *clips(), 0.1, 0.02, 7)
        assert (net.forwards, net.backwards) == (7, 7)

    @pytest.mark.parametrize("random_start", [False, True])
    def test_stays_in_the_ball(self, random_start: bool) -> None:
        x, y = clips()
        change = pgd(tiny_net(), x, y, 0.1, 0.5, 4, random_start=random_start) - x
        # up to the rounding of a sum of the size of x
        assert float(change.abs().max()) <= 0.1 + 1e-6

    def test_small_steps_leave_the_ball_unfilled(self) -> None:
        x, y = clips()
        change = pgd(tiny_net(), x, y, 0.1, 0.01, 3) - x
        assert float(change.abs().max()) <= 0.03 + 1e-6

    def test_each_step_looks_at_the_gradient_anew(self) -> None:
        x, y = clips()
        net = tiny_net()
        first = x + 0.05 * self.direction(net, x, y)
        second = first + 0.05 * self.direction(net, first, y)
        torch.testing.assert_close(pgd(net, x, y, 1.0, 0.05, 2), second)

    def direction(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with frozen(net):
            return input_gradient(net, x, y).sign()

    def test_no_step_gives_an_equal_copy(self) -> None:
        x, y = clips()
        assert torch.equal(pgd(tiny_net(), x, y, 0.1, 0.1, 0), x)

    def test_a_random_start_follows_its_generator(self, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips())
        net = tiny_net().to(device)

        def attacked(seed: int) -> Tensor:
            generator = torch.Generator(device).manual_seed(seed)
            return pgd(net, x, y, 0.1, 0.02, 2, random_start=True, generator=generator)

        assert torch.equal(attacked(1), attacked(1))
        assert not torch.equal(attacked(1), attacked(2))

    def test_a_random_start_with_a_generator_leaves_the_global_one_alone(self) -> None:
        before = torch.random.get_rng_state()
        random_pgd(tiny_net(), *clips())
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_a_random_start_fills_the_ball_evenly(self) -> None:
        x, y = clips(16, 64, 64)
        generator = torch.Generator().manual_seed(0)
        change = pgd(tiny_net(), x, y, 0.1, 0.1, 0, random_start=True, generator=generator) - x
        assert float(change.mean()) == pytest.approx(0, abs=1e-3)
        assert float(change.std()) == pytest.approx(0.2 / 12**0.5, rel=0.01)
        assert float(change.abs().max()) <= 0.1 + 1e-6
