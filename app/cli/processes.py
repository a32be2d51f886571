"""`serval up`, `serve`, `worker`: the service itself."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app.cli.errors import CliError
from app.settings import Settings, load_settings

Host = Annotated[str | None, typer.Option(help="Address of the API.", envvar="SERVAL_HOST")]
Port = Annotated[int | None, typer.Option(help="Port of the API.", envvar="SERVAL_PORT")]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of all files.", envvar="SERVAL_DATA_DIR")
]


class Queue(StrEnum):
    """What a worker works on."""

    AUDITS = "audits"
    TRAININGS = "trainings"


def up(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Start the API, both workers and what they need; Ctrl-C stops them.

    With REDIS_URL or DATABASE_URL set, those are used instead of an embedded Valkey and SQLite.
    """
    from app.addresses import CannotListen
    from app.supervisor.supervisor import CannotStart, Supervisor

    settings = settings_with(host=host, port=port, data_dir=data_dir)
    try:
        status = Supervisor(settings).run()
    except (CannotListen, CannotStart) as error:
        raise CliError(str(error)) from error
    raise typer.Exit(status)


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Start the API alone. It needs a Redis (REDIS_URL) and workers to audit and train."""
    from sqlalchemy.exc import DBAPIError

    from app.addresses import CannotListen
    from app.predictions.service import NoSuchDevice
    from app.server import serve

    settings = settings_with(host=host, port=port, data_dir=data_dir)
    try:
        serve(settings)
    except (CannotListen, NoSuchDevice) as error:
        raise CliError(str(error)) from error
    except DBAPIError as error:
        raise CliError(
            f"The database cannot be opened: {error.orig}\nSee to DATABASE_URL and SERVAL_DATA_DIR."
        ) from error
    except OSError as error:
        raise CliError(f"{error}\nSee to SERVAL_DATA_DIR, which is {settings.data_dir}.") from error


def worker(queue: Queue) -> None:
    """Start one worker, of audits or of trainings. It needs REDIS_URL and the API's database."""
    settings_with()
    # By name: the service never imports its workers. This process becomes the worker.
    os.execv(sys.executable, [sys.executable, "-m", "workers.worker", queue.value])  # noqa: S606


def settings_with(**options: Any) -> Settings:
    """The settings of the environment, with the options that were given.

    Raises:
        CliError: one of them does not hold.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate(load_settings().model_dump() | given)
    except ValidationError as error:
        faults = [_fault(one["loc"][0], one["msg"], one["input"]) for one in error.errors()]
        raise CliError("These settings do not hold:\n" + "\n".join(faults)) from error


def _fault(name: int | str, message: str, value: Any) -> str:
    message = message.removeprefix("Value error, ")
    variable = str(name).upper().removeprefix("SERVAL_")
    if variable in {"DATABASE_URL", "REDIS_URL"}:
        return f"{variable}: {message}"  # its value may hold a password
    return f"SERVAL_{variable}: {message} (it is {value!r})"
