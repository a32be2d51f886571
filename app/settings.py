"""Every number that an operator may turn, with its unit and the reason for its default.

Each is read from the environment variable ``SERVAL_<NAME>``; the two addresses also from plain
``DATABASE_URL`` and ``REDIS_URL``, as hosting platforms set them.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

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


def _database(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if not url:  # how some platforms say that there is none
        return url
    try:
        kind = make_url(url).drivername
    except ArgumentError:
        kind = None
    if kind not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise ValueError("give sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    return url


def _redis(url: str) -> str:
    from redis import ConnectionPool

    if not url:
        return url
    try:
        ConnectionPool.from_url(url)
    except ValueError:
        raise ValueError("give redis://HOST:PORT/NUMBER, rediss://… or unix://PATH") from None
    return url


DatabaseUrl = Annotated[str, AfterValidator(_database)]
RedisUrl = Annotated[str, AfterValidator(_redis)]


class Settings(BaseSettings):
    """The service's settings. Built once at start and passed on; nothing reads it globally."""

    model_config = SettingsConfigDict(
        env_prefix="SERVAL_", frozen=True, extra="ignore", populate_by_name=True
    )

    # Where things are
    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    device: str = "auto"
    """Where networks run: "auto" takes CUDA if there is one, else the CPU."""
    database_url_setting: DatabaseUrl | None = Field(
        default=None, validation_alias=AliasChoices("SERVAL_DATABASE_URL", "DATABASE_URL")
    )
    redis_url_setting: RedisUrl | None = Field(
        default=None, validation_alias=AliasChoices("SERVAL_REDIS_URL", "REDIS_URL")
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    # What comes in
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

    # Who may ask how often: "" is no limit. Only keys are counted, not an open loopback.
    predict_rate: Rate = "60000/minute"
    submit_rate: Rate = "600/minute"
    key_cache_seconds: float = Field(default=1.0, ge=0)
    """How long a looked-up key is believed, so that predicting costs no query; also the longest
    time for which a key revoked in another process still opens this one."""

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
    max_saved_clips: int = Field(default=8, gt=0)
    """Whose adversarial log-mels are kept: 0.1 MB each and strength, at 373 frames."""
    max_saved_wavs: int = Field(default=24, gt=0)
    """Of one audit: 0.4 MB each at 373 frames. They are float, see `workers.exhibits`."""

    # Training
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """The most work that a killed worker costs. CNN-4's checkpoint is 52 MB, ResNet-50's 282 MB."""
    max_iterations: int = Field(default=100_000, gt=0)
    """Ten times the paper's: a day and more for CNN-4 on two cores, and on a GPU an hour."""
    max_batch_frames: int = Field(default=24_000, gt=0)
    """Clips x frames of one training step: 64 of the paper's windows."""

    @property
    def database_url(self) -> str:
        """The given one, or a SQLite file in the data folder."""
        return self.database_url_setting or f"sqlite:///{self.data_dir.absolute() / 'serval.db'}"

    @property
    def redis_url(self) -> str:
        """The given one, or Redis' usual address. `serval up` gives its own Valkey's."""
        return self.redis_url_setting or "redis://127.0.0.1:6379/0"


def load_settings() -> Settings:
    """Settings from the environment.

    Raises:
        pydantic.ValidationError: naming each variable that does not hold.
    """
    return Settings()
