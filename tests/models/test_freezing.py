"""A frozen network is in eval mode and asks no gradients of its weights; left, it is as it was."""

import pytest
import torch
from torch import nn

from models.freezing import frozen
from tests.models.lived_in import lived_in, state_of
from tests.models.tiny import clips, tiny_net


def cudnn_is_on() -> bool:
    return bool(torch.backends.cudnn.enabled)


class TestFrozen:
    def test_is_in_eval_mode_without_gradients_of_parameters(self) -> None:
        net = lived_in(tiny_net())
        with frozen(net) as inside:
            assert inside is net
            assert not any(module.training for module in net.modules())
            assert not any(parameter.requires_grad for parameter in net.parameters())

    def test_leaves_flags_parameters_buffers_and_gradients_as_they_were(self) -> None:
        net = lived_in(tiny_net())
        before = state_of(net)
        with frozen(net):
            net(clips()[0])
        assert state_of(net) == before

    def test_leaves_them_so_after_an_error(self) -> None:
        net = lived_in(tiny_net())
        before = state_of(net)
        with pytest.raises(RuntimeError, match="out of memory"), frozen(net):
            raise RuntimeError("out of memory")
        assert state_of(net) == before

    def test_may_be_frozen_twice(self) -> None:
        net = lived_in(tiny_net())
        before = state_of(net)
        with frozen(net):
            with frozen(net):
                pass
            assert not any(module.training for module in net.modules())
            assert not any(parameter.requires_grad for parameter in net.parameters())
        assert state_of(net) == before

    def test_the_gradient_of_the_input_is_left(self) -> None:
        net, x = tiny_net(), clips()[0].requires_grad_(True)
        with frozen(net):
            (gradient,) = torch.autograd.grad(net(x).sum(), x)
        assert bool((gradient != 0).any())

    def test_a_parameter_that_two_modules_share_is_restored(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        net[1].weight = net[0].weight
        with frozen(net):
            assert not net[0].weight.requires_grad
        assert net[1].weight.requires_grad

    @pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
    def test_a_recurrent_layer_is_differentiated_without_cudnn(self, kind: type[nn.Module]) -> None:
        """Which differentiates none whose forward was in eval mode; torch's own kernels do."""
        recurrent = nn.ModuleList([kind(2, 2)])
        with torch.enable_grad(), frozen(recurrent):
            assert not cudnn_is_on()
        with torch.no_grad(), frozen(recurrent):
            assert cudnn_is_on()
        with torch.enable_grad(), frozen(tiny_net()):
            assert cudnn_is_on()
        assert cudnn_is_on()

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    @pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
    def test_so_that_an_attack_finds_its_gradient_there(self, kind: str) -> None:
        layer = getattr(nn, kind)(4, 3, batch_first=True).cuda().eval()
        x = torch.randn(2, 5, 4, device="cuda", requires_grad=True)
        with frozen(layer):
            (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x)
        assert bool((gradient != 0).any())
