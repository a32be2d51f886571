"""What a file is that is not accepted, by its first bytes, and how to get on from there."""

from typing import Final

from models.audio.problems import SAVE_AS, AudioError

FROM_A_BROWSER: Final = (
    "Browsers record so by default; docs/recording-in-a-browser.md has a recorder that makes WAV."
)

MAGIC: Final = {
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
    b"\xff\xf3": "an MP3 file",
    b"\xff\xf2": "an MP3 file",
    b"\xff\xf1": "an AAC file",
    b"#!AMR": "an AMR file, as phones record",
    b"OggS": "an Ogg file",
    b"RIFF": "a RIFF file of another kind than WAVE",
    b"RIFX": "a big-endian WAV file",
    b"FORM": "an IFF file of another kind than AIFF",
    b"\x1aE\xdf\xa3": "a WebM or Matroska file",
    b"0&\xb2u\x8ef\xcf\x11": "a Windows Media file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"{": "JSON",
}
RECORDED_BY_BROWSERS: Final = (b"OggS", b"\x1aE\xdf\xa3")


def refuse_unknown(data: bytes) -> AudioError:
    """Nothing that is accepted begins so: the error, with what it is."""
    if not data:
        return AudioError("empty_body", "The file is empty. Send the bytes of a WAV file.")
    browser = data.startswith(RECORDED_BY_BROWSERS) or data[4:8] == b"ftyp"
    help_on = f" {FROM_A_BROWSER}" if browser else ""
    return AudioError(
        "not_audio", f"This is {_name(data)}; WAV, FLAC and AIFF are read. {SAVE_AS}{help_on}"
    )


def _name(data: bytes) -> str:
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "an MP4 file"
    if data[:256].isascii() and data[:256].decode("ascii").replace("\n", " ").isprintable():
        return "text"
    return f"a file that begins with 0x{data[:4].hex()}"
