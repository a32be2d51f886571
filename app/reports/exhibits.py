"""Broken clips to look at and to listen to: pictures and sounds as data in the page itself."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.audits import files
from app.audits.exhibits import Exhibit, Heard
from app.reports import words
from app.reports.material import Material

MOST_BYTES: Final = 1_000_000
"""Of a picture or a sound: six seconds of 16-bit sound are 192 KB, and nine of each have to fit
into a page of 8 MB."""
MEDIA_TYPES: Final = {".png": "image/png", ".flac": "audio/flac", ".wav": "audio/wav"}


@dataclass(frozen=True)
class ViewShown:
    """The clip as it is, under attack, or the difference of the two.

    Attributes:
        name: what it is.
        alternative: what the picture shows, for who does not see it.
        said: what the model says of it, sentences.
        picture, sound: data URIs; "" for none.
        player: the id of its player.
        full: path of the whole recording at the service; "" for none.
    """

    name: str
    alternative: str
    said: Sequence[str]
    picture: str
    sound: str
    player: str
    full: str


@dataclass(frozen=True)
class ExhibitShown:
    """A broken clip.

    Attributes:
        title: which of the broken clips it is.
        facts: clip, label and attack, in a line.
    """

    title: str
    facts: str
    note: str
    views: Sequence[ViewShown]

    @property
    def audible(self) -> bool:
        """Whether there is anything to switch between."""
        return sum(bool(view.sound) for view in self.views) > 1


def shown(material: Material) -> list[ExhibitShown]:
    """All that the report names, in its order."""
    return [_shown(material, one) for one in material.report.exhibits]


def _shown(material: Material, one: Exhibit) -> ExhibitShown:
    start, end = one.excerpt_s
    label = "no label" if one.label is None else f"labelled {words.legible(one.label, 60)}"
    return ExhibitShown(
        title=f"The {one.role} broken clip: {words.legible(one.clip)}",
        facts=f"{label}; {words.legible(one.description)}; one of"
        f" {words.count(one.broken, 'broken clip')}; row {one.index}",
        note=f"Seconds {start:.2f} to {end:.2f} of the clip. The first two pictures share one scale"
        f" of colours{_gain(one)}.",
        views=[
            _view(material, one, "original", "Original", [_heard("The model hears", one.clean)]),
            _view(material, one, "adversarial", "Under attack", _attacked(one)),
            _view(material, one, "difference", "Difference", _difference(one)),
        ],
    )


def _gain(one: Exhibit) -> str:
    if one.gain_db is None or abs(one.gain_db) < 0.005:
        return ""
    return f", and the first two sounds one gain of {one.gain_db:+.1f} dB"


def _attacked(one: Exhibit) -> list[str]:
    told = [_heard("What was scored", one.attacked)]
    if one.resynthesised is not None:
        told.append(
            _heard("This recording, scored again", one.resynthesised)
            + f"; {one.resynthesised.snr_db:.1f} dB SNR"
        )
    if one.noise is not None:
        told.append(_heard("Noise of the same size", one.noise))
    return told


def _difference(one: Exhibit) -> list[str]:
    if one.difference_gain_db is None:
        return []
    return [f"Amplified by {one.difference_gain_db:+.0f} dB, else it is inaudible"]


def _heard(what: str, heard: Heard) -> str:
    return f"{what}: {words.legible(heard.label, 60)} {words.number(heard.score)}"


def _view(
    material: Material, one: Exhibit, which: str, name: str, said: Sequence[str]
) -> ViewShown:
    folder = material.folder / files.ARTIFACTS
    sound = "" if one.sounds is None else _data(folder, getattr(one.sounds, which))
    full = "" if one.recordings is None else getattr(one.recordings, which, "")
    return ViewShown(
        name=name,
        alternative=f"Spectrogram, {name.lower()}: {words.legible(one.clip)}",
        said=said,
        picture=_data(folder, getattr(one.pictures, which)),
        sound=sound,
        player=f"player-{one.role}-{which}",
        full=f"v1/audits/{material.report.audit}/artifacts/{full}" if full else "",
    )


def _data(folder: Path, name: str) -> str:
    """A file as a data URI; "" where it is not there any more, is too large, or is no such file."""
    media_type = MEDIA_TYPES.get(Path(name).suffix)
    path = folder / Path(name).name
    try:
        if media_type is None or path.stat().st_size > MOST_BYTES:
            return ""
        return f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}"
    except FileNotFoundError:
        return ""
