"""The training losses: Eq. 3 and Eq. 4 with values worked out by hand, and their limits."""

import math

import pytest
import torch
from torch import Tensor, nn

from models.architectures import SpectrogramNet
from models.defenses import DEFENSES, similarity, single, vanilla
from models.defenses.similarity import embedding_distance
from tests.models.tiny import TinyNet, clips, tiny_net

# Two clips, two classes. The logits of a clip are (its first value, 0), its embedding its values.
#   clean        (0, 0)          logits (0, 0)       true class 0: p = 1/2        loss ln 2
#                (ln 3, 4)       logits (ln 3, 0)    true class 0: p = 3/4        loss ln 4/3
#   adversarial  (-ln 3, 3)      logits (-ln 3, 0)   true class 0: p = 1/4        loss ln 4
#                (0, 0)          logits (0, 0)       true class 0: p = 1/2        loss ln 2
LN3 = math.log(3)
CLEAN = torch.tensor([[0.0, 0.0], [LN3, 4.0]])
ADVERSARIAL = torch.tensor([[-LN3, 3.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 0])
CLEAN_LOSS = (math.log(2) + math.log(4 / 3)) / 2
ADVERSARIAL_LOSS = (math.log(4) + math.log(2)) / 2
# The embeddings differ by (ln 3, -3) and (ln 3, 4).
MSE = (LN3**2 + 3**2 + LN3**2 + 4**2) / 4
L2 = (math.sqrt(LN3**2 + 3**2) + math.sqrt(LN3**2 + 4**2)) / 2


class Transparent(SpectrogramNet):
    """Its embedding is its input, its logits are the first value and zero."""

    embedding_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 2, bias=False)
        self.classifier.weight = nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))

    def embed(self, images: Tensor) -> Tensor:
        return images

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classifier(x), x


class Recording(TinyNet):
    """Keeps what it was shown, and in which mode."""

    def __init__(self) -> None:
        super().__init__(3)
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []

    def embed(self, images: Tensor) -> Tensor:
        self.seen.append(images.squeeze(1))
        self.modes.append(self.training)
        return super().embed(images)


def after_one_step(loss_of: str, **weights: float) -> dict[str, Tensor]:
    """Everything a network holds after one step down the gradient, by a defence or by none."""
    net = tiny_net().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    (x, y), (x_adv, _) = clips(), clips(seed=1)
    loss = single(net, x, y) if loss_of == "single" else vanilla(net, x, x_adv, y, **weights)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return dict(net.state_dict())


class TestSingle:
    def test_is_the_mean_cross_entropy(self, device: torch.device) -> None:
        loss = single(Transparent().to(device), CLEAN.to(device), LABELS.to(device))
        assert loss.item() == pytest.approx(CLEAN_LOSS, rel=1e-6)


class TestVanilla:
    @pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
    def test_is_equation_3(self, alpha: float, device: torch.device) -> None:
        clean, adversarial, y = (part.to(device) for part in (CLEAN, ADVERSARIAL, LABELS))
        loss = vanilla(Transparent().to(device), clean, adversarial, y, alpha)
        expected = alpha * CLEAN_LOSS + (1 - alpha) * ADVERSARIAL_LOSS
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_alpha_is_a_half_by_default(self) -> None:
        loss = vanilla(Transparent(), CLEAN, ADVERSARIAL, LABELS)
        assert loss.item() == pytest.approx((CLEAN_LOSS + ADVERSARIAL_LOSS) / 2, rel=1e-6)

    def test_alpha_one_is_a_plain_step_to_the_bit(self) -> None:
        """Weights, and the statistics of batch norm, which never sees the adversarial batch."""
        plain, undefended = after_one_step("single"), after_one_step("vanilla", alpha=1.0)
        assert plain.keys() == undefended.keys()
        for name, value in plain.items():
            assert torch.equal(value, undefended[name]), name

    def test_any_other_alpha_is_not(self) -> None:
        plain, defended = after_one_step("single"), after_one_step("vanilla", alpha=0.5)
        assert not torch.equal(plain["classifier.weight"], defended["classifier.weight"])

    @pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, math.inf])
    def test_a_weight_outside_0_to_1_is_refused_with_its_value(self, alpha: float) -> None:
        with pytest.raises(ValueError, match=rf"alpha is {alpha}.*\[0, 1\]"):
            vanilla(Transparent(), CLEAN, ADVERSARIAL, LABELS, alpha)


class TestSimilarity:
    @pytest.mark.parametrize(("distance", "apart"), [("mse", MSE), ("l2", L2)])
    @pytest.mark.parametrize(("beta", "gamma"), [(0.4, 0.4), (0.0, 0.0), (0.2, 0.7), (0.5, 0.5)])
    def test_is_equation_4(
        self, beta: float, gamma: float, distance: str, apart: float, device: torch.device
    ) -> None:
        clean, adversarial, y = (part.to(device) for part in (CLEAN, ADVERSARIAL, LABELS))
        net = Transparent().to(device)
        loss = DEFENSES["similarity"](net, clean, adversarial, y, beta, gamma, distance)
        expected = beta * CLEAN_LOSS + gamma * ADVERSARIAL_LOSS + (1 - beta - gamma) * apart
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_weights_are_four_tenths_and_the_distance_mse_by_default(self) -> None:
        loss = similarity(Transparent(), CLEAN, ADVERSARIAL, LABELS)
        expected = 0.4 * CLEAN_LOSS + 0.4 * ADVERSARIAL_LOSS + 0.2 * MSE
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_the_two_distances_are_far_apart_on_real_embeddings(self) -> None:
        """Of 512 features that differ by .01: mse 1e-4, l2 .226. Hence the name."""
        v, v_adv = torch.zeros(3, 512), torch.full((3, 512), 0.01)
        assert float(embedding_distance(v, v_adv, "mse")) == pytest.approx(1e-4, rel=1e-5)
        assert float(embedding_distance(v, v_adv, "l2")) == pytest.approx(0.2262742, rel=1e-5)

    @pytest.mark.parametrize("distance", ["mse", "l2"])
    def test_equal_inputs_have_finite_gradients(self, distance: str) -> None:
        """The norm has a kink at zero, where the first adversarial batch may well be."""
        net = tiny_net().eval()
        x, y = clips()
        DEFENSES["similarity"](net, x, x, y, distance=distance).backward()  # type: ignore[no-untyped-call]
        for parameter in net.parameters():
            assert parameter.grad is not None
            assert bool(torch.isfinite(parameter.grad).all())

    def test_gradients_flow_through_both_embeddings(self) -> None:
        clean, adversarial = CLEAN.clone().requires_grad_(), ADVERSARIAL.clone().requires_grad_()
        loss = similarity(Transparent(), clean, adversarial, LABELS, 0.0, 0.0)
        for_clean, for_adversarial = torch.autograd.grad(loss, (clean, adversarial))
        torch.testing.assert_close(for_clean, -for_adversarial)
        assert bool((for_clean != 0).all())

    @pytest.mark.parametrize(
        ("beta", "gamma"),
        [(-0.1, 0.4), (0.4, -0.1), (0.6, 0.5), (math.nan, 0.4), (0.4, math.nan), (math.inf, 0.4)],
    )
    def test_weights_out_of_range_are_refused_with_their_values(
        self, beta: float, gamma: float
    ) -> None:
        with pytest.raises(ValueError, match=f"beta {beta} and gamma {gamma}"):
            similarity(Transparent(), CLEAN, ADVERSARIAL, LABELS, beta, gamma)

    def test_an_unknown_distance_is_refused_before_anything_is_computed(self) -> None:
        net = Recording()
        with pytest.raises(ValueError, match=r"'cosine'.*mse.*l2"):
            DEFENSES["similarity"](net, *clips()[:1] * 2, clips()[1], distance="cosine")
        assert net.seen == []


class TestForwards:
    @pytest.mark.parametrize("name", ["vanilla", "similarity"])
    def test_clean_and_adversarial_pass_separately_in_train_mode(self, name: str) -> None:
        net = Recording().train()
        x, y = clips()
        DEFENSES[name](net, x, x + 1, y)
        assert net.modes == [True, True]
        assert torch.equal(net.seen[0], x)
        assert torch.equal(net.seen[1], x + 1)

    @pytest.mark.parametrize("name", ["vanilla", "similarity"])
    def test_batch_norm_counts_both(self, name: str) -> None:
        """One forward over both, or statistics mixed from both, would count one batch."""
        net = tiny_net().train()
        x, y = clips()
        DEFENSES[name](net, x, x + 1, y)
        assert int(net.get_buffer("blocks.1.num_batches_tracked")) == 2

    def test_the_registry_names_the_three_of_the_paper(self) -> None:
        assert list(DEFENSES) == ["single", "vanilla", "similarity"]
        assert list(DEFENSES.values()) == [single, vanilla, similarity]
