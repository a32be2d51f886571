"""Two processes with eight clips each are one with sixteen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.ranks import ALONE, Ranks
from models.synchronised_batch_norm import synchronised
from models.training import TrainingState
from tests.models.side_by_side import HOW, ITERATIONS, layers, normalised, plan, trained

Found = list[dict[str, Tensor]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What each of two processes under torchrun has found."""
    folder = tmp_path_factory.mktemp("ranks")
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            "-m",
            "tests.models.side_by_side",
            str(folder),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [load_file(folder / str(rank)) for rank in range(2)]


@pytest.mark.usefixtures("tiny_architecture")
class TestATraining:
    @pytest.mark.parametrize("name", list(HOW))
    def test_by_two_has_the_losses_and_the_network_of_one(self, name: str, found: Found) -> None:
        losses, net = trained(TrainingState(plan(HOW[name])))
        assert len(losses) == ITERATIONS
        theirs = found[0][f"{name}/losses"]
        torch.testing.assert_close(theirs, torch.tensor(losses), rtol=0, atol=1e-5)
        for key, value in net.items():
            other = found[0][f"{name}/net/{key}"]
            torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("name", list(HOW))
    def test_leaves_both_with_the_same_network_to_the_bit(self, name: str, found: Found) -> None:
        first, second = (
            {key: value for key, value in one.items() if key.startswith(f"{name}/")}
            for one in found
        )
        assert len(first) > ITERATIONS
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[key]) for key, value in first.items())


class TestBatchNorm:
    @pytest.mark.parametrize("name", ["y", "x.grad"])
    def test_of_two_shares_is_that_of_the_batch_and_so_is_its_gradient(
        self, name: str, found: Found
    ) -> None:
        joined = torch.cat([one[f"norm/{name}"] for one in found])
        whole = normalised(layers(), slice(0, 8))[name]
        torch.testing.assert_close(joined, whole, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("name", [name for name, _ in layers().named_parameters()])
    def test_gradients_of_its_weights_are_averaged(self, name: str, found: Found) -> None:
        whole = normalised(layers(), slice(0, 8))[f"{name}.grad"]
        assert float(whole.abs().max()) > 0.01
        for one in found:
            torch.testing.assert_close(2 * one[f"norm/{name}.grad"], whole, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("name", [name for name, _ in layers().named_buffers()])
    def test_learns_the_statistics_of_the_batch(self, name: str, found: Found) -> None:
        whole = normalised(layers(), slice(0, 8))[name]
        for one in found:
            torch.testing.assert_close(one[f"norm/{name}"], whole, rtol=1e-9, atol=1e-9)

    def test_is_what_it_was_afterwards_and_the_same_parameters_meanwhile(self) -> None:
        net = layers()
        kinds = [type(one) for one in net.modules()]
        weights, names = list(net.parameters()), list(net.state_dict())
        with synchronised(net):
            assert [type(one) for one in net.modules()] != kinds
            assert all(one is other for one, other in zip(net.parameters(), weights, strict=True))
            assert list(net.state_dict()) == names
        assert [type(one) for one in net.modules()] == kinds

    def test_in_evaluation_mode_needs_nobody_else(self) -> None:
        """The first process evaluates the network alone."""
        net, x = layers().eval(), torch.randn(2, 4, 3, 5, dtype=torch.float64)
        alone = net(x)
        with synchronised(net):
            assert torch.equal(net(x), alone)

    def test_of_an_unknown_kind_is_refused(self) -> None:
        with (
            pytest.raises(ValueError, match="BatchNorm3d cannot be trained by several processes"),
            synchronised(nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm3d(2))),
        ):
            pytest.fail("it was not refused")


class TestRanks:
    def test_share_a_batch_without_a_gap(self) -> None:
        shares = [list(range(16))[Ranks(rank, 4).share(16)] for rank in range(4)]
        assert sum(shares, []) == list(range(16))  # noqa: RUF017  (four short lists)
        assert {len(share) for share in shares} == {4}

    def test_refuse_a_batch_that_they_cannot_share_equally(self) -> None:
        with pytest.raises(ValueError, match=r"of 16 clips .* by 3 processes: .* a multiple of 3"):
            Ranks(0, 3).share(16)

    def test_of_one_have_the_whole_batch_and_leave_gradients_alone(self) -> None:
        net = nn.Linear(2, 1)
        loss = net(torch.ones(1, 2)).sum()
        loss.backward()
        before = [weight.grad for weight in net.parameters()]
        assert ALONE.share(16) == slice(0, 16)
        assert torch.equal(ALONE.average(net, loss), loss)
        assert all(w.grad is b for w, b in zip(net.parameters(), before, strict=True))
