"""Codecs, against libsndfile's own."""

import io

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError

from models.corruptions import parse
from models.corruptions.codec import MP3_KBPS, Codec, Name, alaw, mulaw
from tests.models.corruptions.sounds import generator, snr_db, speechlike

SUBTYPES: dict[Name, str] = {"mulaw": "ULAW", "alaw": "ALAW"}


def by_libsndfile(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", subtype: str) -> bytes:
    """Encoded and decoded, as 16-bit samples."""
    with io.BytesIO() as file:
        soundfile.write(file, samples, 8_000, format="RAW", subtype=subtype)
        file.seek(0)
        read, _ = soundfile.read(
            file, dtype="int16", format="RAW", subtype=subtype, samplerate=8_000, channels=1
        )
    return bytes(read.tobytes())


class TestG711:
    @pytest.mark.parametrize(("name", "step"), [("mulaw", 4), ("alaw", 16)])
    def test_is_libsndfiles_at_every_value_of_its_own_precision(
        self, name: Name, step: int
    ) -> None:
        """libsndfile keeps 14 bits of a sample before mu-law, and 12 before A-law."""
        samples = np.arange(-32_768 + step, 32_768, step).astype(np.int16)
        law = {"mulaw": mulaw, "alaw": alaw}[name]
        own = (law(torch.from_numpy(samples) / 32_768) * 32_768).numpy().astype(np.int16)
        other = np.frombuffer(by_libsndfile(samples, SUBTYPES[name]), np.int16)
        np.testing.assert_array_equal(own, other)

    @pytest.mark.parametrize("name", ["mulaw", "alaw"])
    def test_has_256_values_at_most(self, name: Name) -> None:
        found = {"mulaw": mulaw, "alaw": alaw}[name](torch.linspace(-1.5, 1.5, 100_001))
        assert len(np.unique(found.numpy())) in {255, 256}
        assert float(found.abs().amax()) <= 1

    @pytest.mark.parametrize("name", ["mulaw", "alaw"])
    def test_of_speech_has_the_ratio_that_it_is_made_for(self, name: Name) -> None:
        """About 38 dB, against the same rate without it (Jayant & Noll, 1984, Fig. 5.9)."""
        clip = speechlike()
        linear = parse({"type": "band"}).corrupt(clip, 8_000, generator())
        coded = Codec(name=name).corrupt(clip, 64, generator())
        assert 34 < snr_db(linear, coded) < 42


class TestFiles:
    @pytest.mark.parametrize(("name", "kbps"), [("mp3", 8), ("mp3", 32), ("mp3", 64), ("opus", 16)])
    def test_keeps_length_and_time(self, name: Name, kbps: int) -> None:
        """The best correlation is where the clip itself is: no delay is left in."""
        clip = speechlike()
        found = Codec(name=name, kbps=(kbps,)).corrupt(clip, kbps, generator())
        assert len(found) == len(clip)
        spectrum = torch.fft.rfft(clip).conj() * torch.fft.rfft(found)
        assert int(torch.fft.irfft(spectrum).argmax()) in {0, 1, len(clip) - 1}

    @pytest.mark.parametrize(("name", "rates"), [("mp3", (8, 32, 64)), ("opus", (6, 16, 64))])
    def test_more_bits_are_nearer_to_the_clip(self, name: Name, rates: tuple[int, ...]) -> None:
        clip = speechlike()
        codec = Codec(name=name, kbps=rates)
        found = [snr_db(clip, codec.corrupt(clip, rate, generator())) for rate in rates]
        assert found == sorted(found)

    @pytest.mark.parametrize("kbps", [8, 16, 32, 64])
    def test_mp3_has_the_bit_rate_that_was_asked_for(
        self, kbps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []
        read = soundfile.read

        def measured(file: io.BytesIO, **options: str) -> object:
            sizes.append(len(file.getvalue()))
            return read(file, **options)

        monkeypatch.setattr(soundfile, "read", measured)
        Codec(name="mp3", kbps=(kbps,)).corrupt(speechlike(10), kbps, generator())
        assert sizes[0] * 8 / 10_000 == pytest.approx(kbps, rel=0.05)


class TestBitRates:
    @pytest.mark.parametrize(
        ("name", "usual"), [("mulaw", 64), ("alaw", 64), ("mp3", 32), ("opus", 16)]
    )
    def test_each_has_a_usual_one(self, name: Name, usual: int) -> None:
        assert parse({"type": "codec", "name": name}).strengths == (usual,)

    def test_one_that_the_codec_has_not_is_refused(self) -> None:
        for name, kbps in (("mulaw", 32), ("mp3", 20)):
            with pytest.raises(ValidationError, match=f"{name} has no {kbps} kbit/s") as refused:
                parse({"type": "codec", "name": name, "kbps": [kbps]})
            assert refused.value.errors()[0]["loc"] == ("kbps",)
        all_of_them = parse({"type": "codec", "name": "mp3", "kbps": list(MP3_KBPS)})
        assert all_of_them.strengths == MP3_KBPS
