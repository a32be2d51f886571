"""The served view is the same function as the network it was made from."""

import pytest
import torch

from models.architectures import SpectrogramNet
from models.architectures.cnn4 import CNN4
from models.serving import FastCNN4, served
from models.serving.minimal_filtering import minimal_filtering
from models.serving.packed_product import PackedProduct
from tests.models.lively import lively

CPU = torch.device("cpu")


def lived_in(name: str) -> SpectrogramNet:
    """The network in float32 and eval mode, as a training leaves it."""
    return lively(name).float()


class TestMinimalFiltering:
    def test_is_the_correlation_of_a_signal_and_a_kernel(self) -> None:
        signal = torch.randn(8, generator=torch.Generator().manual_seed(1)).double()
        kernel = torch.randn(5, generator=torch.Generator().manual_seed(2)).double()
        outputs, kernel_transform, tile = minimal_filtering()

        filtered = outputs @ ((kernel_transform @ kernel) * (tile @ signal))

        expected = torch.stack([(signal[at : at + 5] * kernel).sum() for at in range(4)])
        torch.testing.assert_close(filtered, expected, rtol=1e-12, atol=1e-12)


class TestPackedProduct:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("n", [1, 2, 3, 5, 11, 12])
    def test_is_one_matrix_product_for_each_place(self, packed: bool, n: int) -> None:
        noise = torch.Generator().manual_seed(n)
        weight = torch.randn(4, 3, 7, generator=noise)
        a = torch.randn(n, 4, 3, generator=noise)
        product = PackedProduct(weight, 12, packed=packed)
        with torch.inference_mode():
            expected = torch.einsum("npi,pio->npo", a.double(), weight.double()).float()
            torch.testing.assert_close(product(a), expected, rtol=1e-5, atol=1e-5)

    def test_more_rows_than_planned_are_refused(self) -> None:
        with pytest.raises(ValueError, match="7 rows are more than the 6"):
            PackedProduct(torch.ones(4, 3, 7), 6)(torch.ones(7, 4, 3))


class TestServedCNN4:
    @pytest.mark.parametrize("frames", [32, 33, 34, 35, 61, 187])
    @pytest.mark.parametrize("batch", [1, 3])
    def test_logits_equal_the_plain_networks(self, frames: int, batch: int) -> None:
        net = lived_in("cnn4")
        x = torch.randn(batch, frames, 64, generator=torch.Generator().manual_seed(frames))
        with torch.inference_mode():
            torch.testing.assert_close(served(net, CPU)(x), net(x), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("planned", [32, 61, 373])
    def test_clips_of_any_length_whatever_was_planned(self, planned: int) -> None:
        net = lived_in("cnn4")
        x = torch.randn(2, 97, 64, generator=torch.Generator().manual_seed(planned))
        view = served(net, CPU, planned)
        with torch.inference_mode():
            torch.testing.assert_close(view(x), net(x), rtol=1e-4, atol=1e-4)

    def test_also_where_torch_has_no_onednn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        net = lived_in("cnn4")
        x = torch.randn(3, 61, 64, generator=torch.Generator().manual_seed(5))
        with torch.inference_mode():
            torch.testing.assert_close(served(net, CPU)(x), net(x), rtol=1e-4, atol=1e-4)

    def test_its_weights_are_counted_by_who_counts_buffers(self) -> None:
        buffers = sum(buffer.nbytes for buffer in served(lived_in("cnn4"), CPU).buffers())
        coordinates = 64 * (64 * 128 + 128 * 256 + 256 * 512)
        assert 4 * coordinates <= buffers < 4.1 * coordinates

    @pytest.mark.parametrize("mels", [32, 40, 63])
    def test_any_number_of_bands(self, mels: int) -> None:
        net = lived_in("cnn4")
        x = torch.randn(2, 40, mels, generator=torch.Generator().manual_seed(mels))
        with torch.inference_mode():
            torch.testing.assert_close(served(net, CPU)(x), net(x), rtol=1e-4, atol=1e-4)

    def test_probabilities_are_within_a_thousandth_on_loud_input(self) -> None:
        net = lived_in("cnn4")
        x = 10 * torch.randn(4, 48, 64, generator=torch.Generator().manual_seed(3))
        with torch.inference_mode():
            difference = served(net, CPU)(x).softmax(1) - net(x).softmax(1)
        assert difference.abs().max() < 1e-3

    def test_a_cpu_has_a_faster_view_of_it(self) -> None:
        assert isinstance(served(lived_in("cnn4"), CPU), FastCNN4)


class TestServed:
    """Any network, on any device."""

    @pytest.mark.parametrize("name", ["cnn4", "resnet50", "vgg16"])
    def test_probabilities_are_those_of_the_plain_network_on_the_cpu(
        self, name: str, device: torch.device
    ) -> None:
        net = lived_in(name)
        x = torch.randn(3, 32, 64, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = net(x).softmax(dim=1)
            answer = served(net, device)(x.to(device)).softmax(dim=1)
        assert expected.std(dim=0).max() > 0.01, "the clips must differ to the network"
        torch.testing.assert_close(answer.cpu(), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", ["resnet50", "vgg16"])
    def test_without_a_faster_view_it_is_the_plain_network_in_eval_mode(self, name: str) -> None:
        net = lived_in(name).train()
        view = served(net, CPU)
        assert not isinstance(view, CNN4 | FastCNN4)
        assert not view.training
        x = torch.randn(2, 32, 64, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            torch.testing.assert_close(view(x), lived_in(name)(x), rtol=0, atol=0)

    @pytest.mark.parametrize("name", ["cnn4", "resnet50", "vgg16"])
    def test_neither_follows_the_network_nor_touches_it(
        self, name: str, device: torch.device
    ) -> None:
        net = lived_in(name).train()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        view = served(net, device)
        x = torch.ones(1, 32, 64, device=device)
        first = view(x)
        assert net.training
        assert all(parameter.requires_grad for parameter in net.parameters())
        for key, value in net.state_dict().items():
            torch.testing.assert_close(value, before[key], rtol=0, atol=0)
        with torch.no_grad():
            net.classifier.weight.zero_()
        torch.testing.assert_close(view(x), first, rtol=0, atol=0)
