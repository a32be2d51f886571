"""What is said of a partition whose figures are weak."""

from models.corpus.manifest import Clip, Manifest
from models.corpus.remarks import Part, remarks


def part(speakers: str, genders: str = "fm", clips: int = 5) -> Part:
    """Of each speaker so many clips of anger and of fear."""
    return Part.of(
        Manifest(
            tuple(
                Clip(f"{s}{e}{n}.wav", s, genders[i % len(genders)].strip(), e, "", 1.0, None)
                for i, s in enumerate(speakers)
                for e in ("anger", "fear")
                for n in range(clips)
            )
        )
    )


EMOTIONS = ("anger", "fear")


def test_nothing_is_said_of_two_speakers_of_two_genders_with_five_clips() -> None:
    assert remarks("test", part("ab"), EMOTIONS) == []


def test_one_speaker() -> None:
    (told,) = remarks("test", part("a"), EMOTIONS)
    assert told.startswith("test has one speaker")


def test_one_gender_where_that_of_all_is_known() -> None:
    assert remarks("dev", part("ab", "f"), EMOTIONS) == ["dev has women only."]
    assert remarks("dev", part("ab", "m"), EMOTIONS) == ["dev has men only."]
    assert remarks("dev", part("ab", "f "), EMOTIONS) == []


def test_classes_of_fewer_than_five_clips_and_of_none() -> None:
    (told,) = remarks("test", part("ab", clips=2), (*EMOTIONS, "guilt"))
    assert "fewer than 5 clips of anger (4), fear (4), guilt (0)" in told


def test_of_very_many_some_are_named() -> None:
    (told,) = remarks("test", part("ab"), [f"e{n}" for n in range(20)])
    assert "and 12 more" in told
