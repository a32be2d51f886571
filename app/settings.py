"""Every number that an operator may turn, with its unit and the reason for its default.

Each is read from the environment variable ``SERVAL_<NAME>``; the two addresses, and the files of
their passwords, also from plain ``DATABASE_URL`` and so on.
"""

import difflib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import defaults
from app.processes import in_the_image

PLAIN = {"DATABASE_URL", "REDIS_URL", "DATABASE_PASSWORD_FILE", "REDIS_PASSWORD_FILE"}
"""What is read without the prefix ``SERVAL_`` too, as hosting platforms set it."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def _rate(text: str) -> str:
    """Accept what ``limits`` accepts ("120/minute"), and the empty string for no limit."""
    from limits import parse

    if text:
        parse(text)
    return text


Rate = Annotated[str, AfterValidator(_rate)]


def _database_url(url: str | None) -> str | None:
    """Accept what the installed drivers serve."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        kind = make_url(url).drivername if url else "sqlite"
    except (ArgumentError, ValueError):
        kind = None
    if kind not in {"sqlite", "postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


def _redis_url(url: str | None) -> str | None:
    """Accept what the client of Redis does."""
    from redis import ConnectionPool

    try:
        ConnectionPool.from_url(url or "redis://")
    except ValueError:
        raise ValueError(
            "give redis://HOST:6379/0, with a password redis://:PASSWORD@HOST:6379/0, with TLS"
            " rediss://…, or unix://PATH"
        ) from None
    return url


LONGEST_PASSWORD_BYTES = 4096


def _read(path: str, most: int) -> bytes:
    """What stands in the file at ``path``, or the beginning of it."""
    try:
        with Path(path).open("rb") as file:
            return file.read(most)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise ValueError(f"it cannot be read ({why}); give the path of a file") from None


def _password(path: str | None) -> SecretStr | None:
    """What stands in the file at ``path``, without white space around it."""
    if not path:
        return None
    content = _read(path, LONGEST_PASSWORD_BYTES + 1)
    try:
        password = content.decode().strip()
    except UnicodeDecodeError:
        password = ""
    if len(content) > LONGEST_PASSWORD_BYTES or not password.isprintable() or not password:
        raise ValueError("the file must hold the password, one line of text, and nothing else")
    return SecretStr(password)


PasswordFile = Annotated[SecretStr | None, BeforeValidator(_password)]
"""A setting that is the path of a file, and whose value is what stands there."""

LONGEST_KEY_BYTES = 4096


def _signing_key(path: str | None) -> SecretStr | None:
    """The Ed25519 key that stands in the file at ``path``."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not path:
        return None
    content = _read(path, LONGEST_KEY_BYTES + 1)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if len(content) > LONGEST_KEY_BYTES or not isinstance(key, Ed25519PrivateKey):
        raise ValueError(
            "the file must hold an Ed25519 private key in PEM without a passphrase, as"
            " `openssl genpkey -algorithm ed25519` makes one"
        )
    return SecretStr(content.decode("ascii", "ignore"))


SigningKeyFile = Annotated[SecretStr | None, BeforeValidator(_signing_key)]
"""Likewise, of a key that signs."""


def _device(name: str) -> str:
    """Accept names of devices; whether there is such a one is seen where torch is at hand."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", name):
        raise ValueError("give auto, cpu, cuda or cuda:N")
    return name


def _origins(text: str) -> str:
    """Origins as a browser sends them, separated by commas and nothing else."""
    origins = [one.strip() for one in text.split(",") if one.strip()]
    if not all(map(_origin, origins)):
        raise ValueError(
            "give origins as browsers send them, without a path and in lower case, such as"
            " https://app.example,http://localhost:3000"
        )
    return ",".join(origins)


_origin = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?").fullmatch


def _root_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("give a path such as /serval, with a slash before it and none behind")
    return path


Days = Annotated[float, Field(ge=0, le=36_500)]
"""A time to keep things for; 0 is for ever."""


class Settings(BaseSettings):
    """The service's settings. Built once at start and passed on; nothing reads it globally."""

    model_config = SettingsConfigDict(
        env_prefix="SERVAL_", frozen=True, extra="ignore", populate_by_name=True
    )

    # Where things are
    data_dir: Path = Path(defaults.DATA_DIR)
    host: str = defaults.HOST
    port: int = Field(default=defaults.PORT, ge=0, le=65535)
    root_path: Annotated[str, AfterValidator(_root_path)] = ""
    """The path below which a proxy serves this service, such as /serval, if the proxy takes it off
    what it passes on: links, redirects and /docs then lead there."""
    cors_origins: Annotated[str, AfterValidator(_origins)] = ""
    """Origins whose pages may use the service from a browser, separated by commas. Only where an
    API key was made: without one, such a page would need none."""
    device: Annotated[str, AfterValidator(_device)] = "auto"
    """Where networks run: "auto" takes CUDA if there is one, else the CPU."""
    database_url_setting: Annotated[str | None, AfterValidator(_database_url)] = Field(
        default=None, validation_alias=AliasChoices("SERVAL_DATABASE_URL", "DATABASE_URL")
    )
    redis_url_setting: Annotated[str | None, AfterValidator(_redis_url)] = Field(
        default=None, validation_alias=AliasChoices("SERVAL_REDIS_URL", "REDIS_URL")
    )
    database_password: PasswordFile = Field(
        default=None,
        validation_alias=AliasChoices("SERVAL_DATABASE_PASSWORD_FILE", "DATABASE_PASSWORD_FILE"),
    )
    """The file whose content is the password of `database_url`: no secret need stand in the
    environment, which others may read (`docker inspect`)."""
    redis_password: PasswordFile = Field(
        default=None,
        validation_alias=AliasChoices("SERVAL_REDIS_PASSWORD_FILE", "REDIS_PASSWORD_FILE"),
    )
    signing_key: SigningKeyFile = Field(
        default=None, validation_alias=AliasChoices("SERVAL_SIGNING_KEY_FILE")
    )
    """The file of the key that reports and replay bundles are signed with (docs/signatures.md).
    Without one, the data folder holds a key that was made at its first use."""
    shared_folder_wait_seconds: float = Field(default=5.0, ge=0, le=60)
    """How long a host waits for a folder whose row it sees, with PostgreSQL alone: the client of a
    shared folder caches for a second or two with the mount options of docs/deployment.md. A request
    that waits holds a thread."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    # What comes in
    max_connections: int = Field(default=1000, gt=0)
    """At one time. For one more the longest idle one is closed, those first that never sent a whole
    request; where none is idle, a request on it is answered 503, unless it is a probe. Each may
    hold a body of `max_json_bytes` before its key is looked at: a gigabyte in all."""
    max_address_connections: int = Field(default=250, ge=0)
    """Of one peer's address, in IPv6 of one /64; 0 is no limit. This machine's own have none. A
    proxy on another machine is one address: set it to 0 where the service is reached through it."""
    first_byte_seconds: float = Field(default=5.0, gt=0)
    """How long a new connection may say nothing. Clients send as soon as they are connected."""
    max_json_bytes: int = Field(default=1 * MIB, gt=0)
    """JSON bodies: the longest legal request is some KiB of ε values and labels."""
    max_predict_bytes: int = Field(default=32 * MIB, gt=0)
    """One clip: a minute of 48 kHz float-64 stereo is 44 MiB, of 16-bit mono 5.5 MiB."""
    max_clip_seconds: float = Field(default=60.0, gt=0)
    """Longer clips are not utterances, and cost an inference lane proportionally."""
    max_clip_windows: int = Field(default=256, gt=0)
    """Windows of one clip: a minute has 39 of 3 s; a model with the shortest window makes 234."""
    max_audit_bytes: int = Field(default=256 * MIB, gt=0)
    max_audit_files: int = Field(default=1000, gt=0)
    max_model_bytes: int = Field(default=256 * MIB, gt=0)
    """Uploaded weights and their configuration: ResNet-50 with 1,000 labels takes 98 MiB."""
    max_corpus_bytes: int = Field(default=2 * GIB, gt=0)
    """CREMA-D is 0.6 GB zipped."""
    max_corpus_unpacked_bytes: int = Field(default=8 * GIB, gt=0)
    max_corpus_clips: int = Field(default=50_000, gt=0)

    # Predicting
    default_model: str = "cnn4-single-cremad"
    """What predicts when a request names no model."""
    predict_queue: int = Field(default=256, gt=0)
    """Clips that may be under way; one more is answered 429."""
    predict_queue_bytes: int = Field(default=512 * MIB, gt=0)
    """Of their bodies together, so that 256 large ones do not fill the memory."""
    predict_batch: int = Field(default=32, gt=0)
    """Windows that go through a network at one time on a GPU; on a CPU a few are faster."""
    predict_timeout_seconds: float = Field(default=30.0, gt=0)
    """From a request's headers to its answer. Whoever waited longer has given up."""
    loaded_models: int = Field(default=8, gt=0)
    """Models in memory at one time; the one that was not used for longest makes room."""
    loaded_models_bytes: int = Field(default=1 * GIB, gt=0)
    """Of their weights together. CNN-4 as served on a CPU takes 43 MiB."""
    warm_up: bool = True
    """Whether the default model scores a clip before the service is ready."""

    # Who may ask how often: "" is no limit. Only keys are counted, not an open loopback; in Redis,
    # so that all processes of the API count together, and in each of them while Redis is away.
    predict_rate: Rate = "60000/minute"
    submit_rate: Rate = "600/minute"
    key_cache_seconds: float = Field(default=1.0, ge=0)
    """How long a looked-up key is believed, so that predicting costs no query; also the longest
    time for which a key revoked in another process still opens this one."""

    # What a key may have at one time: 0 is no limit. `serval keys create` may give one another.
    max_key_bytes: int = Field(default=0, ge=0)
    """Of its corpora, models and jobs together, on the disk."""
    max_key_jobs: int = Field(default=0, ge=0)
    """Queued and running ones. Without a limit, one key's jobs may keep all others waiting."""

    # What is kept how long: 0 is for ever. Whoever keeps voices of people must say.
    keep_audio_days: Days = 0
    """From the end of an audit until its recordings go, uploaded and attacked ones; its result
    stays. Corpora are not meant: their owner named them, and deletes them."""
    keep_results_days: Days = 0
    """From the end of a job that has succeeded until it goes, with result, events and files."""
    keep_failed_days: Days = 0
    """The same of one that failed or was cancelled. Its files go at its end in any case, but
    for the last checkpoint of a training that diverged."""
    keep_deletions_days: Days = 1095
    """Rows of the trail of deletions: three years, and 200 bytes each."""

    # Waiting and following
    max_wait_seconds: float = Field(default=60.0, gt=0)
    """The most that `Prefer: wait=` gets: proxies commonly cut an idle answer after 60 s."""
    max_waiters: int = Field(default=200, gt=0)
    """Requests that may wait on jobs at one time, long polls and event streams together."""
    poll_seconds: float = Field(default=0.25, gt=0)
    """How often a waiting request looks at its job's row."""

    # Jobs
    redis_timeout_seconds: float = Field(default=0.5, gt=0, le=2)
    """One connect or one answer. A submission needs two connects and two answers at worst: 2 s. A
    row that is older than 10 s counts as accepted, so a longer time would tear the two apart."""
    job_timeout_seconds: int = Field(default=7 * 24 * 3600, gt=0)
    """RQ's own last resort. Training on a CPU takes hours; the watchdog sees a job that hangs."""
    job_failure_ttl_seconds: int = Field(default=24 * 3600, gt=0)
    max_attempts: int = Field(default=20, gt=0)
    """A job whose process dies this often is the reason that it dies. One that was put down, for a
    restart of the service, is no death."""
    torch_threads: int = Field(default=0, ge=0)
    """CPU threads of one job; 0 takes every core. Lower it where both workers run on one CPU."""

    # Auditing
    audit_batch: int = Field(default=16, gt=0)
    """Clips in one pass. Of 6-second ones VGG-16 keeps some 100 MB each for the backward pass. A
    killed audit goes on at its last batch, so a small one also costs less to lose."""
    max_audit_scores: int = Field(default=20_000_000, gt=0)
    """Clips x labels x strengths: each is a number of some 15 bytes in the file of rows."""
    max_audit_passes: int = Field(default=50_000_000, gt=0)
    """Forward and backward passes of a clip, all attacks together: 5,000 clips under a search of
    5,000 queries take half of them, and days on two cores."""
    audit_shard_passes: int = Field(default=250, gt=0)
    """Passes of a clip in a shard. An audit that needs twice as many is split, so that several
    workers share it. On a CPU these take 20 s with CNN-4 and one thread, which is long beside the
    second in which a worker begins; on a GPU take more."""
    max_saved_clips: int = Field(default=8, gt=0)
    """Whose adversarial log-mels are kept: 0.1 MB each and strength, at 373 frames."""
    max_saved_wavs: int = Field(default=24, gt=0)
    """Of one audit: 0.4 MB each at 373 frames. They are float, see `workers.audits.artifacts`."""

    # Reports
    report_fonts: Path | None = None
    """A folder of fonts (TrueType, OpenType) for PDF reports, for names in scripts that the
    typesetter's own fonts do not have, such as Chinese; without it these are escaped, and said to
    be."""

    # Training
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """The most work that a killed worker costs. CNN-4's checkpoint is 52 MB, ResNet-50's 282 MB."""
    training_processes: int = Field(default=1, ge=0, le=64)
    """That make one training together, with a GPU each or a share of the cores: fewer where a
    batch cannot be shared equally or there are fewer GPUs. 0 is one for each GPU."""
    max_iterations: int = Field(default=100_000, gt=0)
    """Ten times the paper's: a day and more for CNN-4 on two cores, and on a GPU an hour."""
    max_batch_frames: int = Field(default=24_000, gt=0)
    """Clips x frames of one training step: 64 of the paper's windows."""
    max_study_cells: int = Field(default=200, gt=0)
    """Trainings of one study: the paper's Table 2 has 66, with both kinds of partitions."""

    @property
    def database_url(self) -> str:
        """The given one, or a SQLite file in the data folder. A file's password goes before that of
        the URL; SQLite has none."""
        url = self.database_url_setting or f"sqlite:///{self.data_dir.absolute() / 'serval.db'}"
        if self.database_password is None or url.startswith("sqlite"):
            return url
        from sqlalchemy import make_url

        secret = self.database_password.get_secret_value()
        return make_url(url).set(password=secret).render_as_string(hide_password=False)

    @property
    def redis_url(self) -> str:
        """The given one, or Redis' usual address. `serval up` gives its own Valkey's. A file's
        password goes before that of the URL."""
        url = self.redis_url_setting or "redis://127.0.0.1:6379/0"
        if self.redis_password is None:
            return url
        parts = urlsplit(url)
        userinfo, _, host = parts.netloc.rpartition("@")
        user = userinfo.partition(":")[0]
        secret = quote(self.redis_password.get_secret_value(), safe="")
        return parts._replace(netloc=f"{user}:{secret}@{host}").geturl()


class BadSetting(Exception):
    """What a setting is, why it does not do, and what would: for whoever starts the service."""


def load_settings(**given: Any) -> Settings:
    """Settings from the environment; those that are ``given`` and not None go before.

    Raises:
        BadSetting: naming each variable that does not hold, or that is none.
    """
    faults = [_unknown(name) for name in os.environ if _is_unknown(name)]
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
        if not faults:
            return settings
    except ValidationError as error:
        faults += [_fault(one) for one in error.errors()]
    if len(faults) == 1:
        raise BadSetting(faults[0])
    raise BadSetting("These settings do not hold:\n" + "\n".join(faults))


def variables() -> set[str]:
    """The environment variables that are read: by the service, and by the commands that talk to a
    running one."""
    names = {"SERVAL_URL", "SERVAL_API_KEY"}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [f"SERVAL_{name.upper()}"]
        names |= {str(choice) for choice in choices}
    return names


def _is_unknown(name: str) -> bool:
    return name.upper().startswith("SERVAL_") and name.upper() not in variables()


def _unknown(name: str) -> str:
    """A misspelt setting that was ignored would be one whose default holds, without a word."""
    nearest = difflib.get_close_matches(name.upper(), variables(), n=1, cutoff=0)[0]
    return f"{name} is no setting of Serval: did you mean {nearest}? If not, remove it."


def _fault(error: Mapping[str, Any]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    shown = without_password(str(error["input"]))
    return f"{variable(str(error['loc'][0]))} is {shown!r}: {message}."


def variable(setting: str) -> str:
    """The environment variable that a setting was or would be read from."""
    ours = f"SERVAL_{setting.upper().removeprefix('SERVAL_').removesuffix('_SETTING')}"
    plain = ours.removeprefix("SERVAL_")
    return plain if plain in PLAIN and ours not in os.environ else ours


def without_password(url: str) -> str:
    """``url`` as a log or a terminal may show it."""
    return re.sub(r"//[^@/]*@", "//…@", url)


def make_data_dir(settings: Settings) -> Path:
    """The folder of all files, which is there afterwards and can be written.

    Raises:
        BadSetting: it cannot.
    """
    folder = settings.data_dir.absolute()
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise BadSetting(cannot_be_written(folder, error)) from error


def make_private(folder: Path) -> None:
    """Make the folder, if it is absent, and let nobody else in: one that an earlier version made
    was open to all. Where its mode cannot be changed (another's, some mounts) it stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        with suppress(PermissionError):
            folder.chmod(mode & ~0o077)


def cannot_be_written(folder: Path, error: OSError) -> str:
    """Why the data folder does not serve, in one line with a remedy."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "make room on its disk"
    elif in_the_image():
        remedy = f"give what is mounted there to this user: chown {os.getuid()}:{os.getgid()}"
    else:
        remedy = "name a folder of yours"
    why = error.strerror or str(error)
    return f"SERVAL_DATA_DIR is '{folder}', which cannot be written ({why}): {remedy}."
