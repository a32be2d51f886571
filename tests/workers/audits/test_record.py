"""What an audit has scored survives a kill at any moment, and is never mixed with another's."""

from pathlib import Path

import pytest
import torch

from models.audit import AuditRow, ScoredPoint
from models.audit.evidence import (
    AttackedPrediction,
    ClipPrediction,
    CostSpent,
    Distortion,
    SmallestStrength,
)
from workers.audits.record import ROWS, Record

CHUNK = 2
TOTAL = 5


def recorded(folder: Path, attempt: int = 1, chunk: int = CHUNK, total: int = TOTAL) -> Record:
    """The folder of an attempt at an audit of five clips."""
    return Record(folder, attempt, chunk, range(total))


def said(label: str = "anger") -> ClipPrediction:
    return ClipPrediction(label=label, scores={"anger": 0.75, "fear": 0.25})


def outcome(attack: int = 0, strength: float = 0.02) -> AttackedPrediction:
    return AttackedPrediction(
        attack=attack,
        strength=strength,
        label="fear",
        scores={"anger": 0.25, "fear": 0.75},
        success=True,
        no_direction=False,
        distortion=Distortion(linf=0.02, l2=0.1, snr_db=None, band_db=0.3),
        cost=CostSpent(forwards=2, backwards=1, queries=0),
    )


def row(index: int) -> AuditRow:
    return AuditRow(
        index=index,
        clip=f"{index}.wav",
        label="anger",
        speaker="s",
        gender=None,
        duration_s=1.0,
        clean=said(),
        attacked=[outcome()],
    )


def point(*indices: int, x: torch.Tensor | None = None) -> ScoredPoint:
    inputs = {index: torch.full((3, 64), float(index)) if x is None else x for index in indices}
    return ScoredPoint(0, 0.02, {index: outcome() for index in indices}, inputs)


def finished(folder: Path, attempt: int = 1) -> Record:
    """A first chunk that is finished, clip 1 of it to be shown, and a second one under way."""
    record = recorded(folder, attempt)
    record.save_clean(0, {0: said(), 1: said()})
    record.save_point(0, 0, point(0, 1), 1.5, inputs=True)
    record.finish_chunk([row(0), row(1)], [1], elapsed=2.5)
    record.save_clean(1, {2: said("fear"), 3: said()})
    record.save_point(1, 0, point(2, 3), 0.5, inputs=True)
    return record


class TestAnAttemptThatFollows:
    def test_it_has_the_rows_of_whole_chunks(self, tmp_path: Path) -> None:
        finished(tmp_path)
        assert list(recorded(tmp_path, 2).rows()) == [row(0), row(1)]

    def test_it_has_what_was_finished_of_the_chunk_under_way(self, tmp_path: Path) -> None:
        finished(tmp_path)
        after = recorded(tmp_path, 2)
        assert after.clean(1) == {2: said("fear"), 3: said()}
        assert after.point(1, 0) == {2: outcome(), 3: outcome()}
        assert after.point(1, 1) is None
        assert after.minimum(1, 0) is None

    def test_it_has_the_seconds_of_finished_chunks_alone(self, tmp_path: Path) -> None:
        finished(tmp_path)
        after = recorded(tmp_path, 2)
        assert (after.seconds, after.elapsed) == ({0: 1.5}, 2.5)

    def test_it_has_a_last_chunk_that_is_not_full(self, tmp_path: Path) -> None:
        record = finished(tmp_path)
        record.finish_chunk([row(2), row(3)], [], elapsed=3.0)
        record.finish_chunk([row(4)], [], elapsed=4.0)
        assert [one.index for one in recorded(tmp_path, 2).rows()] == [0, 1, 2, 3, 4]
        assert [one.index for one in recorded(tmp_path, 3, total=9).rows()] == [0, 1, 2, 3]

    def test_in_chunks_of_another_size_it_has_the_rows_that_fill_them_and_no_units(
        self, tmp_path: Path
    ) -> None:
        record = finished(tmp_path)
        record.finish_chunk([row(2), row(3)], [], elapsed=3.0)
        record.save_clean(2, {4: said()})
        after = recorded(tmp_path, 2, chunk=3)
        assert [one.index for one in after.rows()] == [0, 1, 2]
        assert [after.clean(chunk) for chunk in range(3)] == [None] * 3

    def test_it_has_the_inputs_of_the_clips_to_be_shown(self, tmp_path: Path) -> None:
        finished(tmp_path)
        after = recorded(tmp_path, 2)
        assert torch.equal(after.inputs(1)[0], torch.ones(3, 64))
        assert after.inputs(0) == {}

    def test_it_removes_the_folder_that_it_took_over(self, tmp_path: Path) -> None:
        finished(tmp_path)
        recorded(tmp_path, 2)
        assert [path.name for path in tmp_path.iterdir()] == ["attempt-0002"]

    @pytest.mark.parametrize("cut", range(1, 40, 7))
    def test_a_row_that_was_torn_is_scored_again_with_its_chunk(
        self, tmp_path: Path, cut: int
    ) -> None:
        path = finished(tmp_path).path / ROWS
        path.write_bytes(path.read_bytes()[:-cut])
        assert list(recorded(tmp_path, 2).rows()) == []

    def test_units_of_a_chunk_that_is_in_the_rows_already_are_not_taken_for_the_next(
        self, tmp_path: Path
    ) -> None:
        record = recorded(tmp_path)
        record.save_clean(0, {0: said(), 1: said()})
        kept = (record.path / "chunk" / "clean.json").read_bytes()
        record.finish_chunk([row(0), row(1)], [], elapsed=1.0)
        (record.path / "chunk" / "clean.json").write_bytes(kept)  # killed before it was removed
        assert recorded(tmp_path, 2).clean(1) is None

    def test_a_unit_that_was_torn_is_made_again(self, tmp_path: Path) -> None:
        path = finished(tmp_path).path / "chunk" / "point-000.json"
        path.write_bytes(path.read_bytes()[:-5])
        assert recorded(tmp_path, 2).point(1, 0) is None

    def test_a_predecessor_that_is_not_dead_cannot_spoil_it(self, tmp_path: Path) -> None:
        before = finished(tmp_path)
        after = recorded(tmp_path, 2)
        with pytest.raises(FileNotFoundError):
            before.finish_chunk([row(2), row(3)], [], elapsed=3.0)
        assert list(after.rows()) == [row(0), row(1)]


class TestInputs:
    def test_a_waveform_in_steps_of_16_bits_comes_back_as_it_was(self, tmp_path: Path) -> None:
        samples = torch.randint(-32_768, 32_768, (500,)) / 32_768
        record = recorded(tmp_path, chunk=1, total=1)
        record.save_clean(0, {0: said()})
        record.save_point(0, 0, point(0, x=samples), 0.0, inputs=True)
        record.finish_chunk([row(0)], [0], elapsed=1.0)
        assert torch.equal(record.inputs(0)[0], samples)

    def test_those_of_clips_that_are_not_shown_any_more_are_removed(self, tmp_path: Path) -> None:
        record = finished(tmp_path)
        record.finish_chunk([row(2), row(3)], [3], elapsed=3.0)
        assert record.inputs(1) == {}
        assert torch.equal(record.inputs(3)[0], torch.full((3, 64), 3.0))

    def test_nothing_is_kept_where_nothing_is_shown(self, tmp_path: Path) -> None:
        record = recorded(tmp_path, chunk=1, total=1)
        record.save_clean(0, {0: said()})
        record.save_point(0, 0, point(0), 0.0, inputs=False)
        assert not list((record.path / "chunk").glob("*.safetensors"))

    def test_they_come_back_to_the_bit_also_beyond_full_scale(self, tmp_path: Path) -> None:
        scored = {
            0: torch.randn(5, 64),  # log-mels
            1: torch.tensor([-32_768.0, 32_767.0, 3.0, 0.0]) / 32_768,
            2: torch.tensor([37_028.0, -40_000.0, 1.0]) / 32_768,  # of a clip beyond full scale
        }
        record = recorded(tmp_path, chunk=3)
        point = ScoredPoint(0, 0.1, {index: outcome() for index in scored}, scored)
        record.save_point(0, 0, point, 0.5, inputs=True)
        record.finish_chunk([row(index) for index in scored], list(scored), elapsed=1.0)
        for index, x in scored.items():
            assert torch.equal(record.inputs(index)[0], x)


class TestSmallestStrengths:
    def test_come_back_with_what_they_cost(self, tmp_path: Path) -> None:
        found = {
            4: SmallestStrength(
                attack=1, strength=0.25, cost=CostSpent(forwards=9, backwards=4, queries=0)
            ),
            5: SmallestStrength(
                attack=1, strength=None, cost=CostSpent(forwards=0, backwards=0, queries=0)
            ),
        }
        record = recorded(tmp_path)
        record.save_minimum(2, 1, found, 1.5)
        assert record.minimum(2, 1) == found
        assert record.minimum(1, 1) is None  # of another chunk
        assert record.seconds == {1: 1.5}
