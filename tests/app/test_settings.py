"""Settings come from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SERVAL_DATABASE_URL", "SERVAL_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


class TestAddresses:
    def test_without_any_a_file_in_the_data_folder_is_the_database(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SERVAL_DATA_DIR", str(tmp_path))
        assert load_settings().database_url == f"sqlite:///{tmp_path}/serval.db"
        assert load_settings().redis_url == "redis://127.0.0.1:6379/0"

    def test_the_plain_names_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://db/serval")
        monkeypatch.setenv("REDIS_URL", "redis://queue:6379/3")
        assert load_settings().database_url == "postgresql://db/serval"
        assert load_settings().redis_url == "redis://queue:6379/3"

    def test_our_own_name_goes_before_the_plain_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://other")
        monkeypatch.setenv("SERVAL_DATABASE_URL", "postgresql://ours")
        assert load_settings().database_url == "postgresql://ours"

    def test_an_empty_one_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "")
        assert load_settings().database_url.startswith("sqlite:")


class TestLimits:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "70000"),
            ("MAX_JSON_BYTES", "0"),
            ("PREDICT_RATE", "often"),
            ("MAX_WAIT_SECONDS", "-1"),
            ("LOG_LEVEL", "loud"),
        ],
    )
    def test_a_value_that_makes_no_sense_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(f"SERVAL_{name}", value)
        with pytest.raises(ValidationError, match=name.lower()):
            load_settings()

    def test_an_empty_rate_is_no_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVAL_SUBMIT_RATE", "")
        assert load_settings().submit_rate == ""
