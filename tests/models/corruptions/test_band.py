"""Band limits."""

import pytest
from pydantic import ValidationError

from models.corruptions import parse
from models.corruptions.band import Band
from tests.models.corruptions.sounds import db, generator, rms, tone


def loss(band: Band, hz: float) -> float:
    """Of a tone, in dB, its ends left out."""
    found = band.corrupt(tone(hz), band.strengths[0], generator())
    return db(max(rms(found[1_000:-1_000]), 1e-9) / rms(tone(hz)[1_000:-1_000]))


class TestLowPass:
    @pytest.mark.parametrize("hz", [100.0, 1_000.0, 3_400.0])
    def test_below_half_of_the_rate_everything_stays(self, hz: float) -> None:
        assert loss(Band(), hz) == pytest.approx(0, abs=0.05)

    @pytest.mark.parametrize("hz", [4_300.0, 6_000.0, 7_900.0])
    def test_above_it_nothing_does(self, hz: float) -> None:
        assert loss(Band(), hz) < -60

    def test_the_rate_is_the_strength(self) -> None:
        assert loss(Band(rate_hz=(4_000,)), 2_500) < -60
        assert loss(Band(rate_hz=(12_000,)), 5_000) == pytest.approx(0, abs=0.05)


class TestTelephone:
    @pytest.mark.parametrize("hz", [400.0, 1_000.0, 3_250.0])
    def test_speech_band_stays(self, hz: float) -> None:
        assert loss(Band(kind="telephone"), hz) == pytest.approx(0, abs=0.5)

    @pytest.mark.parametrize("hz", [50.0, 150.0, 3_700.0, 5_000.0])
    def test_the_rest_goes(self, hz: float) -> None:
        assert loss(Band(kind="telephone"), hz) < -35

    def test_has_one_rate(self) -> None:
        with pytest.raises(ValidationError, match="a telephone has a rate of 8000") as refused:
            parse({"type": "band", "rate_hz": [8_000, 4_000], "kind": "telephone"})
        assert refused.value.errors()[0]["loc"] == ("kind",)
