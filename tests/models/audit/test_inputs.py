"""Clips come in batches of one shape, in windows of the model."""

from typing import Literal

import pytest
import torch

from models.audit.inputs import Batch, batches
from models.features import LogMel, tile
from models.threats import Domain
from tests.models.audit.recordings import FRAMES, Recordings, sounds, victim

CLIPS = Recordings(sounds())
WANTED: tuple[tuple[Domain, int], ...] = (("features", 7), ("features", 2), ("waveform", 6))


def made(
    domain: Domain, most: int, windows: Literal["all", "first"] = "all", clips: Recordings = CLIPS
) -> list[Batch]:
    model = victim(clips, windows=windows)
    return list(batches(model, clips, domain, range(len(clips)), most))


class TestBatches:
    @pytest.mark.parametrize("domain", ["features", "waveform"])
    @pytest.mark.parametrize("most", [1, 3, 100])
    def test_hold_each_clip_once(self, domain: Domain, most: int) -> None:
        found = made(domain, most)
        assert sorted(index for batch in found for index in batch.indices) == list(range(14))

    def test_log_mels_are_z_scored_and_short_clips_tiled(self) -> None:
        scale = CLIPS.standardizer()
        for batch in made("features", 4):
            for index, x in zip(batch.indices, batch.x, strict=True):
                own = scale(LogMel()(sounds()[index]))
                torch.testing.assert_close(x, own if len(own) > FRAMES else tile(own, FRAMES))

    def test_waveforms_are_what_was_recorded(self) -> None:
        for batch in made("waveform", 4):
            for index, x in zip(batch.indices, batch.x, strict=True):
                assert torch.equal(x, sounds()[index])

    def test_the_first_window_alone_is_cut_where_that_is_asked_for(self) -> None:
        assert {batch.x.shape[1:] for batch in made("features", 4, "first")} == {(FRAMES, 64)}
        longest = max(batch.x.shape[1] for batch in made("waveform", 4, "first"))
        assert longest == (FRAMES - 1) * 256 + 512

    def test_are_never_larger_than_allowed(self) -> None:
        long, short = sounds()[-1], sounds()[0]  # three windows, and one
        clips = Recordings([long, long, long, *[short] * 5])
        sizes = {
            (domain, most): sorted(len(batch.indices) for batch in made(domain, most, clips=clips))
            for domain, most in WANTED
        }
        assert sizes == {
            ("features", 7): [1, 2, 5],
            ("features", 2): [1, 1, 1, 1, 2, 2],  # a clip of three windows is alone
            ("waveform", 6): [1, 2, 5],
        }

    def test_some_of_a_batch_keep_their_order(self) -> None:
        batch = Batch([4, 9, 2], torch.arange(3.0)[:, None])
        some = batch.where([True, False, True])
        assert some.indices == [4, 2]
        assert some.x.tolist() == [[0.0], [2.0]]
