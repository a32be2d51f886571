"""Recordings that are corrupted anew for each batch."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Generator, Tensor

from models.corpus.varied import Decoded, VariedDataset
from models.corruptions import Corruption
from models.features import MELS, LogMel
from models.front_ends import FRONT_ENDS


class Louder(Corruption):
    """By the strength, a little louder at random."""

    strength_name = "db"
    unit = "dB"

    type: Literal["louder"] = "louder"
    db: tuple[float, ...]

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        return waveform * 10 ** (strength / 20) * (1 + 0.1 * torch.rand((), generator=generator))


def recording(index: int, samples: int = 12_000) -> Tensor:
    return 0.05 * torch.randn(samples, generator=torch.Generator().manual_seed(index))


def varied(
    *augment: Corruption,
    share: float = 1.0,
    seed: int = 1,
    front_end: str = "logmel-1",
    read: Callable[[int], Tensor] = recording,
) -> VariedDataset:
    labels = torch.tensor([0, 1, 1, 0])
    return VariedDataset(read, labels, FRONT_ENDS[front_end], augment, share, seed)


CLIPS = torch.tensor([2, 0, 2])


class TestBatch:
    def test_without_corruptions_is_the_recordings(self) -> None:
        features, labels = varied().batch(CLIPS, 60, 0)
        own = LogMel()(recording(2))
        assert features.shape == (3, 60, MELS)
        assert torch.equal(features[0, : len(own)], own)
        assert torch.equal(features[0, len(own) :], own[: 60 - len(own)])
        assert labels.tolist() == [1, 0, 1]

    def test_of_one_iteration_is_always_the_same(self) -> None:
        first = varied(Louder(db=(3.0, -3.0)), share=0.5).batch(CLIPS, 40, 7)[0]
        again = varied(Louder(db=(3.0, -3.0)), share=0.5).batch(CLIPS, 40, 7)[0]
        assert torch.equal(first, again)

    @pytest.mark.parametrize("other", [{"seed": 2}, {"iteration": 8}])
    def test_of_another_is_another(self, other: dict[str, int]) -> None:
        first = varied(Louder(db=(3.0,))).batch(CLIPS, 40, 7)[0]
        second = varied(Louder(db=(3.0,)), seed=other.get("seed", 1)).batch(
            CLIPS, 40, other.get("iteration", 7)
        )[0]
        assert not torch.equal(first, second)

    def test_varies_a_clip_that_comes_twice(self) -> None:
        features, _ = varied(Louder(db=(3.0,))).batch(CLIPS, 40, 0)
        assert not torch.equal(features[0], features[2])

    def test_applies_each_corruption_to_its_share(self) -> None:
        clips = torch.zeros(400, dtype=torch.int64)
        plain = LogMel()(recording(0))
        features, _ = varied(Louder(db=(6.0,)), share=0.3).batch(clips, len(plain), 0)
        changed = sum(not torch.equal(one, plain) for one in features)
        assert changed == pytest.approx(0.3 * 400, abs=30)  # three standard deviations

    def test_begins_anywhere_in_a_longer_clip(self) -> None:
        own = LogMel()(recording(0))
        clips = torch.zeros(64, dtype=torch.int64)
        features, _ = varied().batch(clips, 40, 0)
        begins = {
            next(n for n in range(len(own) - 39) if torch.equal(own[n : n + 40], one))
            for one in features
        }
        assert begins == set(range(len(own) - 39))

    def test_goes_through_the_front_end(self) -> None:
        features, _ = varied(Louder(db=(20.0,)), front_end="logmel-2").batch(CLIPS, 40, 0)
        quiet, _ = varied(front_end="logmel-2").batch(CLIPS, 40, 0)
        assert (features.mean(dim=(1, 2)) - quiet.mean(dim=(1, 2))).abs().max() < 0.1


class TestStandardizer:
    def test_is_of_what_is_learnt_from(self) -> None:
        plain, louder = varied().standardizer(), varied(Louder(db=(20.0,))).standardizer()
        assert (louder.mean - plain.mean).mean() == pytest.approx(2.35, abs=0.05)  # ln 10 + ln 1.05

    def test_refuses_recordings_that_are_all_the_same(self) -> None:
        with pytest.raises(ValueError, match="std"):
            varied(read=lambda _: torch.zeros(2_000)).standardizer()


class TestLevels:
    def test_are_those_of_what_is_learnt_from(self) -> None:
        """Noise of .05 has -26 dBFS."""
        low, high = varied().levels_dbfs() or (0, 0)
        assert [low, high] == pytest.approx([-26, -26], abs=0.3)
        louder = varied(Louder(db=(20.0,))).levels_dbfs() or (0, 0)
        assert low + 20 <= louder[0] < louder[1] <= high + 21  # and up to 10 % by chance


class TestDecoded:
    def test_reads_a_recording_once(self) -> None:
        asked: list[int] = []

        def read(index: int) -> Tensor:
            asked.append(index)
            return recording(index)

        decoded = Decoded(read)
        first, again = decoded(3), decoded(3)
        assert asked == [3]
        assert torch.equal(first, again)
        torch.testing.assert_close(first, recording(3), rtol=0, atol=0.51 / 32768)

    def test_keeps_no_more_than_it_may(self) -> None:
        asked: list[int] = []

        def read(index: int) -> Tensor:
            asked.append(index)
            return recording(index, 1_000)

        decoded = Decoded(read, most_bytes=2_500)
        for _ in range(2):
            assert torch.equal(decoded(0), decoded(0))
            assert torch.equal(decoded(1), decoded(1))
        assert asked == [0, 1, 1, 1, 1]
