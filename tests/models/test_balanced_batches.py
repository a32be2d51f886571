"""Batches in which emotions are equally frequent."""

from collections import Counter

import pytest
import torch

from models.balanced_batches import BalancedBatches

LABELS = torch.tensor([0] * 20 + [1] * 5 + [2] * 2)


def batches(batch_size: int = 6, seed: int = 1) -> BalancedBatches:
    return BalancedBatches(LABELS, batch_size, seed)


class TestBalancedBatches:
    @pytest.mark.parametrize("batch_size", [6, 16])
    def test_have_as_many_clips_of_each_emotion_within_one(self, batch_size: int) -> None:
        for iteration in range(9):
            counts = torch.bincount(LABELS[batches(batch_size).indices(iteration)])
            assert int(counts.max() - counts.min()) <= 1
            assert int(counts.sum()) == batch_size

    def test_together_have_exactly_as_many_where_a_batch_does_not_divide(self) -> None:
        seen = torch.cat([batches(16).indices(iteration) for iteration in range(3)])
        assert torch.bincount(LABELS[seen]).tolist() == [16, 16, 16]

    def test_have_each_clip_of_an_emotion_once_before_one_comes_again(self) -> None:
        seen = torch.cat([batches().indices(iteration) for iteration in range(10)])
        counts = Counter(seen.tolist())
        assert [counts[clip] for clip in range(20)] == [1] * 20
        assert [counts[clip] for clip in range(20, 25)] == [4] * 5
        assert [counts[clip] for clip in range(25, 27)] == [10] * 2

    def test_come_in_another_order_each_time_and_for_each_seed(self) -> None:
        def middle(seed: int, first: int) -> list[int]:
            many = [batches(3, seed).indices(first + place) for place in range(5)]
            return [int(one[1]) for one in many]

        orders = [middle(1, 0), middle(1, 5), middle(2, 0), middle(2, 5)]
        assert all(sorted(order) == [20, 21, 22, 23, 24] for order in orders)
        assert len({tuple(order) for order in orders}) == 4

    def test_follow_from_the_iteration_alone(self) -> None:
        source = batches()
        late = source.indices(1_000)
        source.indices(3)
        assert torch.equal(source.indices(1_000), late)
        assert torch.equal(batches().indices(1_000), late)

    def test_an_emotion_without_a_clip_has_no_turn(self) -> None:
        found = BalancedBatches(torch.tensor([0, 0, 2]), 4, seed=0).indices(0)
        assert sorted(torch.tensor([0, 0, 2])[found].tolist()) == [0, 0, 2, 2]
