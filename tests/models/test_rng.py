"""Draws hang on the audit's seed, the clip and the purpose, and on nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.rng import Rng

SHAPE = (8, 4)
DRAWS: dict[str, Callable[[Rng], Tensor]] = {
    "uniform": lambda rng: rng.uniform(SHAPE, -1.0, 1.0),
    "normal": lambda rng: rng.normal(SHAPE),
    "signs": lambda rng: rng.signs(SHAPE),
    "integers": lambda rng: rng.integers(SHAPE, 1_000_000),
}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


class TestAClipsDraws:
    @every_draw
    def test_are_the_same_in_any_batch_and_order(self, draw: Callable[[Rng], Tensor]) -> None:
        together = draw(Rng(5, [7, 8, 9]))
        assert torch.equal(draw(Rng(5, [9, 7])), together[[2, 0]])
        assert torch.equal(draw(Rng(5, [8])), together[[1]])

    @pytest.mark.parametrize(
        "other",
        [(6, 7, "pgd"), (5, 8, "pgd"), (5, 7, "mim")],
        ids=["seed", "clip", "purpose"],
    )
    @every_draw
    def test_differ_by_seed_clip_and_purpose(
        self, draw: Callable[[Rng], Tensor], other: tuple[int, int, str]
    ) -> None:
        seed, clip, purpose = other
        first = draw(Rng(5, [7], "pgd"))
        assert torch.equal(draw(Rng(5, [7], "pgd")), first)
        assert not torch.equal(draw(Rng(seed, [clip], purpose)), first)

    def test_come_from_a_seed_that_is_the_same_on_every_machine(self) -> None:
        """A resumed audit may run in another process, in which Python hashes text otherwise."""
        (generator,) = Rng(5, [7], "pgd")._generators
        assert generator.initial_seed() == 22_046_619_837_837_331

    def test_go_on_and_do_not_repeat(self) -> None:
        rng = Rng(0, [1])
        assert not torch.equal(rng.normal((4,)), rng.normal((4,)))

    def test_leave_the_global_generator_alone(self) -> None:
        before = torch.random.get_rng_state()
        for draw in DRAWS.values():
            draw(Rng(0, [1, 2]))
        assert torch.equal(torch.random.get_rng_state(), before)


class TestNamed:
    def test_draws_are_fresh_and_their_own(self) -> None:
        rng = Rng(0, [3, 4], "pgd")
        rng.normal((5,))
        named = rng.named("start").normal((5,))
        assert torch.equal(named, Rng(0, [3, 4], "pgd").named("start").normal((5,)))
        assert not torch.equal(named, Rng(0, [3, 4], "pgd").normal((5,)))
        assert not torch.equal(named, rng.named("step").normal((5,)))


class TestSubset:
    def test_goes_on_where_its_clips_are(self) -> None:
        rng, whole = Rng(0, [3, 4, 5]), Rng(0, [3, 4, 5])
        rng.normal((2,))
        whole.normal((2,))
        some = rng.subset(torch.tensor([2, 0]))
        assert len(some) == 2
        assert torch.equal(some.normal((2,)), whole.normal((2,))[[2, 0]])
        assert torch.equal(rng.normal((2,))[1], Rng(0, [4]).normal((2, 2))[0, 1])

    def test_named_draws_are_those_of_the_clips(self) -> None:
        some = Rng(0, [3, 4, 5], "nes").subset(torch.tensor([1])).named("x")
        assert torch.equal(some.normal((2,)), Rng(0, [4], "nes").named("x").normal((2,)))


class TestDistributions:
    MANY = (20_000,)

    def test_uniform_fills_its_interval(self) -> None:
        drawn = Rng(0, [1, 2]).uniform(self.MANY, -3.0, 1.0)
        assert drawn.shape == (2, *self.MANY)
        assert -3 <= float(drawn.min()) < -2.99
        assert 0.99 < float(drawn.max()) < 1
        assert float(drawn.mean()) == pytest.approx(-1, abs=0.02)
        assert float(drawn.std()) == pytest.approx(4 / 12**0.5, rel=0.02)

    def test_normal_is_standard(self) -> None:
        drawn = Rng(0, [1]).normal(self.MANY)
        assert float(drawn.mean()) == pytest.approx(0, abs=0.02)
        assert float(drawn.std()) == pytest.approx(1, rel=0.02)

    def test_signs_are_as_often_minus_one_as_one(self) -> None:
        drawn = Rng(0, [1]).signs(self.MANY)
        assert set(drawn.flatten().tolist()) == {-1.0, 1.0}
        assert float(drawn.mean()) == pytest.approx(0, abs=0.02)

    def test_integers_reach_all_numbers_below_the_end(self) -> None:
        drawn = Rng(0, [1]).integers(self.MANY, 5)
        counts = torch.bincount(drawn.flatten())
        assert counts.tolist() == pytest.approx([4000] * 5, rel=0.06)
