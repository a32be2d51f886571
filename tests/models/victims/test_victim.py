"""What an attack asks of a model is counted clip by clip, and no more than it said is answered."""

from collections.abc import Callable

import pytest
import torch

from models.objectives import Objective
from models.victims import (
    Access,
    AccessDenied,
    BudgetExceeded,
    Cost,
    Meter,
    MeteredView,
    SpectrogramVictim,
    Victim,
    View,
    metered,
)
from tests.models.victims.spectrogram import victim
from tests.models.views import LinearView, NetView

N = 3
X = torch.zeros(N, 4, dtype=torch.float64)
Y = torch.tensor([0, 1, 2])
CLIPS = torch.arange(N)


def linear() -> LinearView:
    return LinearView.random(3, 4)


def counted(access: Access, limit: Cost | None = None) -> tuple[MeteredView, Meter]:
    """A linear model for an attack on three clips, and what counts."""
    meter = Meter(N, limit)
    return metered(linear(), meter, access, N), meter


class TestProtocols:
    def test_our_victim_and_its_views_fulfil_them(self) -> None:
        one: Victim = victim()
        views: list[View] = [one.view("features"), metered(linear(), Meter(1), Access.SCORES, 1)]
        assert all(isinstance(view, View) for view in views)
        assert isinstance(one, SpectrogramVictim)

    def test_access_includes_what_is_less(self) -> None:
        assert Access.LABELS < Access.SCORES < Access.GRADIENTS


class TestCost:
    def test_adds_up_and_multiplies_field_by_field(self) -> None:
        assert Cost(1, 2, 3) + Cost(10, 20, 30) == Cost(11, 22, 33)
        assert Cost(1, 2, 3) * 4 == Cost(4, 8, 12)
        assert Cost(5, 6, 7).to_dict() == {"forwards": 5, "backwards": 6, "queries": 7}

    @pytest.mark.parametrize("more", [Cost(2, 1, 1), Cost(1, 2, 1), Cost(1, 1, 2)])
    def test_is_within_a_limit_if_every_field_is(self, more: Cost) -> None:
        assert Cost(1, 1, 1).within(Cost(1, 1, 1))
        assert not more.within(Cost(1, 1, 1))


class TestMeter:
    def test_counts_forwards_backwards_and_queries_of_each_clip(self) -> None:
        meter = Meter(N)
        meter.note(CLIPS, backward=False, query=True)
        meter.note(torch.tensor([0, 2]), backward=True, query=False)
        assert meter.costs() == [Cost(2, 1, 1), Cost(1, 0, 1), Cost(2, 1, 1)]

    def test_counts_a_clip_twice_that_is_twice_in_a_pass(self) -> None:
        meter = Meter(N)
        meter.note(torch.tensor([1, 1, 2]), backward=True, query=False)
        assert meter.costs() == [Cost(), Cost(2, 2, 0), Cost(1, 1, 0)]

    @pytest.mark.parametrize(
        ("limit", "backward", "query"),
        [(Cost(1, 9, 9), False, False), (Cost(9, 1, 9), True, False), (Cost(9, 9, 1), False, True)],
        ids=["forwards", "backwards", "queries"],
    )
    def test_ends_an_attack_that_asks_for_more(
        self, limit: Cost, backward: bool, query: bool
    ) -> None:
        meter = Meter(N, limit)
        meter.note(torch.tensor([0]), backward=backward, query=query)
        meter.note(torch.tensor([1]), backward=backward, query=query)
        spent = meter.costs()
        with pytest.raises(BudgetExceeded, match=r"asks for .* of a clip and had said"):
            meter.note(torch.tensor([1, 2]), backward=backward, query=query)
        assert meter.costs() == spent  # the pass was not made

    def test_a_clip_twice_in_a_pass_has_no_second_budget(self) -> None:
        with pytest.raises(BudgetExceeded):
            Meter(N, Cost(1)).note(torch.tensor([0, 0]), backward=False, query=False)

    def test_without_a_limit_counts_on(self) -> None:
        meter = Meter(1)
        for _ in range(100):
            meter.note(torch.tensor([0]), backward=True, query=False)
        assert meter.costs() == [Cost(100, 100, 0)]

    def test_a_pass_of_no_clip_costs_nothing(self) -> None:
        meter = Meter(N, Cost())
        meter.note(torch.tensor([], dtype=torch.int64), backward=True, query=True)
        assert meter.costs() == [Cost()] * N

    def test_tells_of_each_pass_before_it_is_made(self) -> None:
        told: list[tuple[int, int]] = []
        meter = Meter(N, on_pass=lambda forwards, backwards: told.append((forwards, backwards)))
        meter.note(CLIPS, backward=False, query=False)
        meter.note(torch.tensor([0]), backward=True, query=False)
        assert told == [(3, 0), (1, 1)]

    def test_who_is_told_may_end_the_attack_and_the_pass_is_not_made(self) -> None:
        def stop(forwards: int, backwards: int) -> None:
            raise KeyboardInterrupt

        view = linear()
        meter = Meter(N, on_pass=stop)
        with pytest.raises(KeyboardInterrupt):
            metered(view, meter, Access.GRADIENTS, N).scores(X)
        assert view.passes == []
        assert meter.costs() == [Cost()] * N


class TestMeteredView:
    def test_answers_what_the_view_does(self) -> None:
        view, _ = counted(Access.GRADIENTS)
        own = linear()
        assert (view.labels, view.domain) == (own.labels, own.domain)
        assert torch.equal(view.scores(X), own.scores(X))
        objective = Objective(Y)
        for ours, theirs in zip(
            view.gradient(X, objective), own.gradient(X, objective), strict=True
        ):
            assert torch.equal(ours, theirs)

    def test_counts_a_gradient_as_a_pass_there_and_back(self) -> None:
        view, meter = counted(Access.GRADIENTS)
        view.scores(X)
        view.gradient(X, Objective(Y))
        assert meter.costs() == [Cost(2, 1, 0)] * N

    def test_counts_each_pass_of_an_attack_that_sees_scores_as_a_query(self) -> None:
        view, meter = counted(Access.SCORES)
        view.scores(X)
        assert meter.costs() == [Cost(1, 0, 1)] * N

    @pytest.mark.parametrize(
        ("access", "ask"),
        [
            (Access.SCORES, lambda view: view.gradient(X, Objective(Y))),
            (Access.LABELS, lambda view: view.scores(X)),
            (Access.LABELS, lambda view: view.gradient(X, Objective(Y))),
        ],
        ids=["a gradient with scores", "scores with labels", "a gradient with labels"],
    )
    def test_refuses_what_the_attack_may_not_see(
        self, access: Access, ask: Callable[[MeteredView], object]
    ) -> None:
        view, meter = counted(access)
        with pytest.raises(AccessDenied, match=f"needs {access.name} asked for"):
            ask(view)
        assert meter.costs() == [Cost()] * N

    def test_a_refused_pass_is_not_made(self) -> None:
        own = linear()
        view = metered(own, Meter(N, Cost(1, 0, 0)), Access.GRADIENTS, N)
        view.scores(X)
        with pytest.raises(BudgetExceeded):
            view.scores(X)
        assert own.passes == ["forward"]

    def test_a_subset_counts_for_its_own_clips(self) -> None:
        view, meter = counted(Access.GRADIENTS)
        some = view.subset(torch.tensor([2, 0])).subset(torch.tensor([0]))
        some.scores(X[:1])
        assert meter.costs() == [Cost(), Cost(), Cost(1, 0, 0)]

    def test_a_subset_that_repeats_a_clip_pays_for_each(self) -> None:
        """Or an attack could ask for a thousand points at the price of one."""
        view, meter = counted(Access.SCORES, Cost(2, 0, 2))
        twice = view.subset(torch.tensor([1, 1]))
        twice.scores(X[:2])
        assert meter.costs()[1] == Cost(2, 0, 2)
        with pytest.raises(BudgetExceeded):
            twice.scores(X[:2])

    @pytest.mark.parametrize("rows", [2, 4])
    def test_refuses_other_rows_than_its_clips(self, rows: int) -> None:
        view, _ = counted(Access.GRADIENTS)
        with pytest.raises(ValueError, match=f"x has {rows} rows, the view is of 3 clips"):
            view.scores(torch.zeros(rows, 4).double())

    def test_passes_of_another_model_count_as_well_and_are_no_queries(self) -> None:
        """Whoever attacks owns the other model: its gradients are free to see."""
        substitute = linear()
        meter = Meter(N)
        view = metered(NetView(linear().net, others={"mine": substitute}), meter, Access.SCORES, N)
        other = view.other("mine").subset(torch.tensor([1]))
        other.gradient(X[:1], Objective(Y[:1]))
        assert substitute.passes == ["backward"]
        assert meter.costs() == [Cost(), Cost(1, 1, 0), Cost()]
