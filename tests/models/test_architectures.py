"""The three networks are exactly those of the method: layers, sizes, pooling, weights."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures import ARCHITECTURES, SpectrogramNet, build
from models.architectures.base import MIN_FRAMES
from models.architectures.cnn4 import conv_block
from models.architectures.one_channel import OneChannelConv2d

NAMES = ("cnn4", "resnet50", "vgg16")
EMBEDDING = {"cnn4": 512, "resnet50": 2048, "vgg16": 512}

# Written out by hand; C is the number of classes.
CNN4_CONVOLUTIONS = 25 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
CNN4_NORMS = 2 * (64 + 128 + 256 + 512)
VGG16_CONVOLUTIONS = 9 * (
    (1 * 64 + 64 * 64)
    + (64 * 128 + 128 * 128)
    + (128 * 256 + 256 * 256 + 256 * 256)
    + (256 * 512 + 512 * 512 + 512 * 512)
    + (512 * 512 + 512 * 512 + 512 * 512)
)
VGG16_NORMS = 2 * (2 * 64 + 2 * 128 + 3 * 256 + 3 * 512 + 3 * 512)
# The well-known 25,557,032 less 1000 classes and two of the three colours of the stem.
RESNET50_TRUNK = 25_557_032 - (2048 * 1000 + 1000) - 2 * 64 * 7 * 7
TRUNK = {
    "cnn4": CNN4_CONVOLUTIONS + CNN4_NORMS,
    "resnet50": RESNET50_TRUNK,
    "vgg16": VGG16_CONVOLUTIONS + VGG16_NORMS,
}


def on_paper(name: str, n_classes: int = 7) -> SpectrogramNet:
    """The network without memory or arithmetic: shapes alone."""
    with torch.device("meta"):
        return build(name, n_classes).eval()


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def maps_of(net: SpectrogramNet, frames: int, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    """(channels, frames, mels) after each layer of this kind, in the order of the forward."""
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    for module in net.modules():
        if isinstance(module, kind):
            module.register_forward_hook(note)
    net(torch.empty(1, frames, 64, device="meta"))
    return shapes


def convolutions(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


class TestEveryArchitecture:
    def test_the_three_of_the_paper_are_registered(self) -> None:
        assert set(NAMES) <= set(ARCHITECTURES)

    @pytest.mark.parametrize("n_classes", [2, 4, 6, 7, 8, 100])
    @pytest.mark.parametrize("name", NAMES)
    def test_number_of_weights(self, name: str, n_classes: int) -> None:
        linear = EMBEDDING[name] * n_classes + n_classes
        assert count(on_paper(name, n_classes)) == TRUNK[name] + linear

    @pytest.mark.parametrize("frames", [32, 33, 373, 500])
    @pytest.mark.parametrize("name", NAMES)
    def test_any_number_of_frames_gives_logits_and_an_embedding(
        self, name: str, frames: int
    ) -> None:
        net = on_paper(name)
        logits, embedding = net.forward_features(torch.empty(3, frames, 64, device="meta"))
        assert logits.shape == (3, 7)
        assert embedding.shape == (3, EMBEDDING[name])
        assert net.embedding_size == EMBEDDING[name]

    @pytest.mark.parametrize("name", NAMES)
    def test_no_convolution_has_a_bias_and_each_is_normalised(self, name: str) -> None:
        net = on_paper(name)
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(convolution.bias is None for convolution in convolutions(net))
        assert [norm.num_features for norm in norms] == [
            convolution.out_channels for convolution in convolutions(net)
        ]

    @pytest.mark.parametrize("name", NAMES)
    def test_one_linear_layer_maps_the_embedding_to_the_classes(self, name: str) -> None:
        net = on_paper(name)
        linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
        assert linear == [net.classifier]
        assert net.classifier.bias is not None

    @pytest.mark.parametrize("name", NAMES)
    def test_it_computes(self, name: str, device: torch.device) -> None:
        torch.manual_seed(0)
        net = build(name, 5).to(device)
        x = torch.randn(2, 33, 64, device=device)
        logits, embedding = net.forward_features(x)
        assert bool(torch.isfinite(logits).all())
        torch.testing.assert_close(logits, net.classifier(embedding))

        net.eval()
        assert torch.equal(net(x), net.forward_features(x)[0])

    @pytest.mark.parametrize("shape", [(32, 64), (1, 1, 32, 64), (2, 31, 64), (2, 32, 31), (64,)])
    @pytest.mark.parametrize("name", NAMES)
    def test_an_unfit_input_is_refused_with_its_shape(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        with pytest.raises(ValueError, match=r"expected \(batch, frames, mels\)") as error:
            on_paper(name)(torch.empty(shape, device="meta"))
        assert str(shape) in str(error.value)
        assert MIN_FRAMES == 32


class TestCNN4:
    def test_four_5x5_convolutions_that_keep_the_size(self) -> None:
        assert [tuple(layer.weight.shape) for layer in convolutions(on_paper("cnn4"))] == [
            (64, 1, 5, 5),
            (128, 64, 5, 5),
            (256, 128, 5, 5),
            (512, 256, 5, 5),
        ]
        assert maps_of(on_paper("cnn4"), 373, nn.Conv2d) == [
            (64, 373, 64),
            (128, 186, 32),
            (256, 93, 16),
            (512, 46, 8),
        ]

    def test_each_halved_by_a_max_pool(self) -> None:
        assert maps_of(on_paper("cnn4"), 373, nn.MaxPool2d) == [
            (64, 186, 32),
            (128, 93, 16),
            (256, 46, 8),
            (512, 23, 4),
        ]

    def test_order_of_a_block(self) -> None:
        kinds = [type(layer) for layer in on_paper("cnn4").modules() if not list(layer.children())]
        rest = [nn.BatchNorm2d, nn.MaxPool2d, nn.ReLU]
        others = [nn.Conv2d, *rest] * 3
        assert kinds == [OneChannelConv2d, *rest, *others, nn.Linear]

    def test_relu_after_the_pool_is_the_papers_relu_before_it(self) -> None:
        maps = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
        maps[0, 0, :4] = maps[0, 0, 0, 0].abs()  # equal values: the first counts, in both
        maps[0, 1] = -1
        ours, papers = maps.clone().requires_grad_(), maps.clone().requires_grad_()
        block = nn.Sequential(*list(conv_block(3, 3))[2:])
        one, other = block(ours), functional.max_pool2d(functional.relu(papers), 2)
        assert torch.equal(one, other)
        weights = torch.rand_like(other)
        (gradient,) = torch.autograd.grad((one * weights).sum(), ours)
        (expected,) = torch.autograd.grad((other * weights).sum(), papers)
        assert torch.equal(gradient, expected)


class TestVGG16:
    def test_thirteen_3x3_convolutions_in_five_blocks(self) -> None:
        channels = [1, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
        assert [tuple(layer.weight.shape) for layer in convolutions(on_paper("vgg16"))] == [
            (n_out, n_in, 3, 3) for n_in, n_out in pairwise(channels)
        ]

    def test_a_max_pool_ends_each_block(self) -> None:
        assert maps_of(on_paper("vgg16"), 373, nn.MaxPool2d) == [
            (64, 186, 32),
            (128, 93, 16),
            (256, 46, 8),
            (512, 23, 4),
            (512, 11, 2),
        ]

    def test_order_of_the_layers(self) -> None:
        kinds = [type(layer) for layer in on_paper("vgg16").modules() if not list(layer.children())]
        unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        blocks = [layer for depth in (2, 2, 3, 3, 3) for layer in [*unit * depth, nn.MaxPool2d]]
        assert kinds == [OneChannelConv2d, *blocks[1:], nn.Linear]


class TestResNet50:
    def test_the_stem_has_one_channel_stride_two_and_a_3x3_max_pool(self) -> None:
        net = on_paper("resnet50")
        first = convolutions(net)[0]
        assert tuple(first.weight.shape) == (64, 1, 7, 7)
        assert maps_of(net, 373, nn.MaxPool2d) == [(64, 94, 16)]
        assert maps_of(on_paper("resnet50"), 373, nn.Conv2d)[0] == (64, 187, 32)
        pools = [module for module in net.modules() if isinstance(module, nn.MaxPool2d)]
        assert [(pool.kernel_size, pool.stride, pool.padding) for pool in pools] == [(3, 2, 1)]

    def test_bottlenecks_3_4_6_3(self) -> None:
        net = on_paper("resnet50")
        kind = type(net.get_submodule("blocks.0"))
        assert maps_of(net, 373, kind) == [
            *[(256, 94, 16)] * 3,
            *[(512, 47, 8)] * 4,
            *[(1024, 24, 4)] * 6,
            *[(2048, 12, 2)] * 3,
        ]

    def test_the_3x3_convolution_carries_the_stride(self) -> None:
        block = on_paper("resnet50").get_submodule("blocks.3.residual")
        assert [(layer.kernel_size, layer.stride) for layer in convolutions(block)] == [
            ((1, 1), (1, 1)),
            ((3, 3), (2, 2)),
            ((1, 1), (1, 1)),
        ]

    def test_four_shortcuts_are_projected(self) -> None:
        names = {name for name, _ in on_paper("resnet50").named_parameters() if "shortcut" in name}
        assert {name.split(".")[1] for name in names} == {"0", "3", "7", "13"}


class TestPooling:
    """What is taken over time and frequency: the maximum or the average."""

    def maps(self, net: SpectrogramNet, x: Tensor) -> Tensor:
        stem = getattr(net, "stem", nn.Identity())
        maps: Tensor = net.get_submodule("blocks")(stem(x.unsqueeze(1)))
        return maps

    @pytest.mark.parametrize(
        ("name", "pooling"), [("cnn4", "max"), ("vgg16", "max"), ("resnet50", "mean")]
    )
    def test_is_that_of_the_table(self, name: str, pooling: str, device: torch.device) -> None:
        torch.manual_seed(1)
        net = build(name, 2).eval().to(device)
        x = torch.randn(2, 64, 64, device=device)
        with torch.inference_mode():
            maps = self.maps(net, x).flatten(2)
            embedding = net.forward_features(x)[1]
        assert maps.shape[2] > 1
        expected = maps.max(dim=2).values if pooling == "max" else maps.sum(dim=2) / maps.shape[2]
        torch.testing.assert_close(embedding, expected)


class TestBuild:
    def test_an_unknown_name_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match=r"'cnn5'.*cnn4.*resnet50.*vgg16"):
            build("cnn5", 7)

    @pytest.mark.parametrize("n_classes", [1, 0, -1])
    def test_fewer_than_two_classes_are_refused(self, n_classes: int) -> None:
        with pytest.raises(ValueError, match=f"n_classes is {n_classes}"):
            build("cnn4", n_classes)
