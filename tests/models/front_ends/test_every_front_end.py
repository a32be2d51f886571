"""What holds for whatever is registered as a front end."""

import pytest
import torch

from models.features import MELS, LogMel
from models.front_ends import FRONT_ENDS

LOG_MELS = LogMel()(0.1 * torch.randn(9_000, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", FRONT_ENDS)
class TestEveryFrontEnd:
    def test_is_known_by_its_own_name(self, name: str) -> None:
        assert FRONT_ENDS[name].name == name

    def test_hears_frames_in_their_order(self, name: str) -> None:
        heard = FRONT_ENDS[name].heard(LOG_MELS)
        assert len(heard)
        assert heard.tolist() == sorted(set(heard.tolist()))

    def test_gives_the_frames_that_it_hears(self, name: str) -> None:
        front_end = FRONT_ENDS[name]
        expected = front_end.frames(LOG_MELS)[front_end.heard(LOG_MELS)]
        assert torch.equal(front_end(LOG_MELS), expected)

    def test_leaves_what_it_is_given(self, name: str) -> None:
        before = LOG_MELS.clone()
        FRONT_ENDS[name](LOG_MELS)
        assert torch.equal(LOG_MELS, before)

    def test_asks_for_nothing_where_nothing_is_to_change(self, name: str) -> None:
        asked = FRONT_ENDS[name].undone(LOG_MELS, torch.zeros(4, MELS))
        assert asked.shape == LOG_MELS.shape
        assert asked.abs().max() < 1e-5


def test_the_first_one_changes_nothing() -> None:
    assert torch.equal(FRONT_ENDS["logmel-1"](LOG_MELS), LOG_MELS)
