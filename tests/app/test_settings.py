"""Settings come from the environment."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from redis import ConnectionPool
from sqlalchemy import make_url

from app.settings import BadSetting, load_settings
from app.signing.ed25519 import private_pem, public_pem


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SERVAL_DATABASE_URL", "SERVAL_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


class TestAddresses:
    def test_the_database_is_a_file_in_the_data_folder_without_an_address(
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
            ("MAX_CONNECTIONS", "0"),
            ("MAX_ADDRESS_CONNECTIONS", "-1"),
            ("FIRST_BYTE_SECONDS", "0"),
            ("PREDICT_RATE", "often"),
            ("MAX_WAIT_SECONDS", "-1"),
            ("LOG_LEVEL", "loud"),
            ("ROOT_PATH", "serval"),
            ("ROOT_PATH", "/serval/"),
            ("ROOT_PATH", "/../x y"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "https://app.example/page"),
            ("CORS_ORIGINS", "https://app.example,app.example"),
        ],
    )
    def test_a_value_that_makes_no_sense_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(f"SERVAL_{name}", value)
        with pytest.raises(
            BadSetting, match=f"^SERVAL_{name} is '{re.escape(value)}': "
        ) as refused:
            load_settings()
        assert "\n" not in str(refused.value)

    def test_an_empty_rate_is_no_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVAL_SUBMIT_RATE", "")
        assert load_settings().submit_rate == ""

    def test_several_are_all_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVAL_PREDICT_BATCH", "-3")
        with pytest.raises(BadSetting) as refused:
            load_settings(port=70000, host=None)
        assert {line.split(" ")[0] for line in str(refused.value).splitlines()[1:]} == {
            "SERVAL_PREDICT_BATCH",
            "SERVAL_PORT",
        }


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("name", "nearest"),
        [
            ("SERVAL_PREDICT_RATES", "SERVAL_PREDICT_RATE"),
            ("SERVAL_TORCH_THREAD", "SERVAL_TORCH_THREADS"),
            ("serval_datadir", "SERVAL_DATA_DIR"),
        ],
    )
    def test_a_misspelt_setting_is_refused_and_the_nearest_is_named(
        self, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
    ) -> None:
        monkeypatch.setenv(name, "1")
        with pytest.raises(BadSetting) as refused:
            load_settings()
        assert str(refused.value) == (
            f"{name} is no setting of Serval: did you mean {nearest}? If not, remove it."
        )

    def test_it_is_told_beside_a_value_that_does_not_hold(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVAL_PROT", "8000")
        monkeypatch.setenv("SERVAL_PORT", "70000")
        with pytest.raises(BadSetting) as refused:
            load_settings()
        assert [line.split(" ")[0] for line in str(refused.value).splitlines()[1:]] == [
            "SERVAL_PROT",
            "SERVAL_PORT",
        ]

    def test_what_the_commands_read_is_known_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVAL_URL", "http://127.0.0.1:8000")
        monkeypatch.setenv("SERVAL_API_KEY", "sk_x")
        load_settings()


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "value", "remedy"),
        [
            ("REDIS_URL", "http://x", "give redis://"),
            ("SERVAL_REDIS_URL", "localhost:6379", "give redis://"),
            ("REDIS_URL", "redis://h/one?socket_timeout=long", "give redis://"),
            ("DATABASE_URL", "nonsense", "give sqlite:///FILE or postgresql://"),
            ("SERVAL_DATABASE_URL", "mysql://db/serval", "give sqlite:///FILE or postgresql://"),
            ("DATABASE_URL", "postgresql://db:port/x", "give sqlite:///FILE or postgresql://"),
            ("DATABASE_URL", "postgresql+asyncpg://db/x", "give sqlite:///FILE or postgresql://"),
            ("SERVAL_DEVICE", "gpu", "give auto, cpu, cuda or cuda:N"),
            ("SERVAL_DEVICE", "cuda:", "give auto, cpu, cuda or cuda:N"),
        ],
    )
    def test_a_place_that_cannot_be_is_refused_by_the_name_that_was_set(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(BadSetting) as refused:
            load_settings()
        assert str(refused.value).startswith(f"{name} is '{value}': {remedy}")

    def test_no_password_is_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "mysql://serval:hush@db/serval")
        with pytest.raises(BadSetting, match="DATABASE_URL is 'mysql://…@db/serval'") as refused:
            load_settings()
        assert "hush" not in str(refused.value)

    def test_origins_are_separated_by_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert load_settings().cors_origins == ""
        monkeypatch.setenv("SERVAL_CORS_ORIGINS", "https://app.example, http://[::1]:3000,")
        assert load_settings().cors_origins == "https://app.example,http://[::1]:3000"

    @pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
    def test_a_device_that_can_be_is_taken(
        self, monkeypatch: pytest.MonkeyPatch, device: str
    ) -> None:
        monkeypatch.setenv("SERVAL_DEVICE", device)
        monkeypatch.setenv("REDIS_URL", "rediss://:secret@queue:6380/1")
        monkeypatch.setenv("DATABASE_URL", "postgres://u:p@db/serval?connect_timeout=3")
        assert load_settings().device == device


class TestPasswordFiles:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text(" p@ss/w:rd \n")
        return path

    @pytest.mark.parametrize("prefix", ["", "SERVAL_"])
    def test_its_content_becomes_the_password_of_the_address(
        self, monkeypatch: pytest.MonkeyPatch, secret: Path, prefix: str
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://serval@db/serval")
        monkeypatch.setenv("REDIS_URL", "redis://ann:old@queue:6379/3")
        monkeypatch.setenv(f"{prefix}DATABASE_PASSWORD_FILE", str(secret))
        monkeypatch.setenv(f"{prefix}REDIS_PASSWORD_FILE", str(secret))
        settings = load_settings()
        assert make_url(settings.database_url).password == "p@ss/w:rd"
        assert make_url(settings.database_url).username == "serval"
        redis = ConnectionPool.from_url(settings.redis_url).connection_kwargs
        assert (redis["username"], redis["password"]) == ("ann", "p@ss/w:rd")
        assert (redis["host"], redis["db"]) == ("queue", 3)
        assert "p@ss" not in repr(settings)

    def test_a_socket_has_its_password_too(
        self, monkeypatch: pytest.MonkeyPatch, secret: Path
    ) -> None:
        monkeypatch.setenv("REDIS_URL", "unix:///run/redis.sock?db=1")
        monkeypatch.setenv("REDIS_PASSWORD_FILE", str(secret))
        redis = ConnectionPool.from_url(load_settings().redis_url).connection_kwargs
        assert (redis["path"], redis["password"]) == ("/run/redis.sock", "p@ss/w:rd")

    def test_sqlite_has_no_password(self, monkeypatch: pytest.MonkeyPatch, secret: Path) -> None:
        monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(secret))
        assert load_settings().database_url.startswith("sqlite:///")

    @pytest.mark.parametrize(
        "name",
        ["REDIS_PASSWORD_FILE", "SERVAL_REDIS_PASSWORD_FILE", "SERVAL_DATABASE_PASSWORD_FILE"],
    )
    def test_one_that_cannot_be_read_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
    ) -> None:
        monkeypatch.setenv(name, f"{tmp_path}/none")
        with pytest.raises(BadSetting) as refused:
            load_settings()
        assert str(refused.value) == (
            f"{name} is '{tmp_path}/none': it cannot be read (No such file or directory); give the"
            " path of a file."
        )

    @pytest.mark.parametrize("content", [b"", b" \n", b"one\ntwo", b"\xff\xfe", b"x" * 5000])
    def test_what_is_no_password_is_refused_and_not_shown(
        self, monkeypatch: pytest.MonkeyPatch, secret: Path, content: bytes
    ) -> None:
        secret.write_bytes(content)
        monkeypatch.setenv("REDIS_PASSWORD_FILE", str(secret))
        with pytest.raises(BadSetting, match="must hold the password, one line") as refused:
            load_settings()
        assert "two" not in str(refused.value)


class TestSigningKeyFile:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "signing.pem"
        path.write_bytes(private_pem(Ed25519PrivateKey.generate()))
        return path

    def test_its_content_becomes_the_key(
        self, monkeypatch: pytest.MonkeyPatch, secret: Path
    ) -> None:
        assert load_settings().signing_key is None
        monkeypatch.setenv("SERVAL_SIGNING_KEY_FILE", "")
        assert load_settings().signing_key is None
        monkeypatch.setenv("SERVAL_SIGNING_KEY_FILE", str(secret))
        settings = load_settings()
        assert settings.signing_key is not None
        assert settings.signing_key.get_secret_value() == secret.read_text()
        assert "PRIVATE" not in repr(settings)

    def test_one_that_cannot_be_read_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SERVAL_SIGNING_KEY_FILE", f"{tmp_path}/none")
        with pytest.raises(BadSetting) as refused:
            load_settings()
        assert str(refused.value) == (
            f"SERVAL_SIGNING_KEY_FILE is '{tmp_path}/none': it cannot be read (No such file or"
            " directory); give the path of a file."
        )

    def test_what_is_no_ed25519_key_is_refused_and_not_shown(
        self, monkeypatch: pytest.MonkeyPatch, secret: Path
    ) -> None:
        locked = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")
        )
        public = public_pem(Ed25519PrivateKey.generate().public_key()).encode()
        another = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        monkeypatch.setenv("SERVAL_SIGNING_KEY_FILE", str(secret))
        for content in (b"", b"hush", b"\xff\xfe", locked, public, another, b"x" * 5000):
            secret.write_bytes(content)
            with pytest.raises(BadSetting, match="must hold an Ed25519 private key") as refused:
                load_settings()
            assert "hush" not in str(refused.value)
            assert "BEGIN" not in str(refused.value)
