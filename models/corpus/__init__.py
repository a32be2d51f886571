"""Corpora of emotional speech: what they contain, how their files are named, how they are split."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from models.catalogue import NameIn
from models.corpus.adapters import ADAPTERS, Adapter
from models.corpus.index import INDEX_NAME
from models.corpus.labels import Labels, is_audio
from models.corpus.manifest import Clip, CorpusError, Manifest, Skipped, path_fault

__all__ = ["ADAPTERS", "INDEX_NAME", "Adapter", "Format", "describe", "detect", "public_speakers"]

Format = Annotated[str, NameIn(ADAPTERS, "auto", "index")]
"""How a corpus says what its clips are: by an `index.csv`, or by file names that an adapter reads;
"auto" looks which of them it is."""


def detect(names: Iterable[str]) -> str:
    """The format of a corpus, from the names of its files.

    Args:
        names: paths inside the corpus folder, audio and others.

    Returns:
        "index" when there is an `index.csv` at the top, else the key in `ADAPTERS` of the corpus
        whose names these are.

    Raises:
        CorpusError: no corpus is recognised (code ``unknown_format``), or the names of two corpora
            are mixed (``mixed_formats``).
    """
    names = list(names)
    if INDEX_NAME in names:
        return "index"
    audio = [name for name in names if is_audio(name)]
    read = {key: sum(parse(name) is not None for name in audio) for key, parse in ADAPTERS.items()}
    found = [key for key in ADAPTERS if read[key]]
    if not found:
        example = f", e.g. {audio[0]!r}" if audio else ""
        raise CorpusError(
            "unknown_format",
            f"None of the {len(audio)} recordings is named as in {', '.join(ADAPTERS)}"
            f"{example}. Add an index.csv with the columns path, speaker, emotion.",
        )
    if len(found) > 1:
        raise CorpusError(
            "mixed_formats",
            f"The files are named as in {' and '.join(found)}. Give one corpus at a time, "
            "or an index.csv that describes them all.",
        )
    return found[0]


def describe(names: Sequence[str], corpus: str) -> tuple[Manifest, tuple[Skipped, ...]]:
    """The manifest of a known corpus, from the names of its files.

    Args:
        names: paths inside the corpus folder; files that are not audio are passed over.
        corpus: a key of `ADAPTERS`.

    Returns:
        The clips sorted by path, without durations and splits, and the audio files that are named
        in another way. Several files may be of one clip: see `models.corpus.copies`.

    Raises:
        CorpusError: ``corpus`` is not known, or no file is named as it says (``unknown_format``).
    """
    if corpus not in ADAPTERS:
        raise CorpusError(
            "unknown_format", f"{corpus!r} is not one of {', '.join(ADAPTERS)}, index or auto."
        )
    clips: list[Clip] = []
    skipped: list[Skipped] = []
    for path in sorted(filter(is_audio, names)):
        labels = ADAPTERS[corpus](path)
        fault = path_fault(path)
        if labels is None or fault is not None:
            reason, code = (
                (f"not named like a clip of {corpus}", "other_name")
                if fault is None
                else (fault, "bad_path")
            )
            skipped.append(Skipped(path, reason, code))
        else:
            clips.append(_clip(path, labels))
    if not clips:
        raise CorpusError("unknown_format", f"No file is named like a clip of {corpus}.")
    return Manifest(tuple(clips)), tuple(skipped)


def public_speakers(clips: Manifest) -> dict[str, list[str]]:
    """Who speaks in clips that are named as in a public corpus, whatever an index calls them.

    Returns:
        Speakers by key in `ADAPTERS`, both sorted; {} if no clip is named so.
    """
    found: dict[str, set[str]] = {}
    for clip in clips:
        for key, parse in ADAPTERS.items():
            if (labels := parse(clip.path)) is not None:
                found.setdefault(key, set()).add(labels.speaker)
    return {key: sorted(found[key]) for key in sorted(found)}


def _clip(path: str, labels: Labels) -> Clip:
    return Clip(
        path=path,
        speaker=labels.speaker,
        gender=labels.gender,
        emotion=labels.emotion,
        sentence=labels.sentence,
        duration_s=0.0,
        split=None,
    )
