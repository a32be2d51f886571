"""A sample of a corpus keeps its mixture."""

import pytest
import torch

from models.corpus.sampling import stratified


def labels() -> torch.Tensor:
    """50 clips of class 0, 30 of 1, 19 of 2, 1 of 4, mixed."""
    return torch.tensor([0] * 50 + [1] * 30 + [2] * 19 + [4])[
        torch.randperm(100, generator=torch.Generator().manual_seed(9))
    ]


class TestStratified:
    def test_every_class_gets_its_share(self) -> None:
        drawn = labels()[stratified(labels(), 20)]
        assert torch.bincount(drawn).tolist() == [10, 6, 3, 0, 1]

    def test_no_class_is_lost_while_there_is_room(self) -> None:
        assert sorted(labels()[stratified(labels(), 4)].tolist()) == [0, 1, 2, 4]
        assert sorted(labels()[stratified(labels(), 2)].tolist()) == [0, 1]

    def test_clips_are_drawn_once_and_keep_their_order(self) -> None:
        sample = stratified(labels(), 60).tolist()
        assert sample == sorted(set(sample))
        assert len(sample) == 60

    def test_the_seed_decides(self) -> None:
        assert torch.equal(stratified(labels(), 20, seed=5), stratified(labels(), 20, seed=5))
        assert not torch.equal(stratified(labels(), 20, seed=5), stratified(labels(), 20, seed=6))

    @pytest.mark.parametrize("n", [100, 1000])
    def test_enough_takes_all(self, n: int) -> None:
        assert stratified(labels(), n).tolist() == list(range(100))

    def test_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="n is 0"):
            stratified(labels(), 0)
