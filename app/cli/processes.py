"""`serval up`, `serve`, `worker`: the service itself."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.errors import CliError
from app.processes import keep_files_private, python_command, python_environment
from app.settings import BadSetting, load_settings

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
    from app.server.listening import CannotListen
    from app.supervisor.supervisor import CannotStart, Supervisor

    keep_files_private()
    settings = load_settings(host=host, port=port, data_dir=data_dir)
    try:
        status = Supervisor(settings).run()
    except (CannotListen, CannotStart) as error:
        raise CliError(str(error)) from error
    raise typer.Exit(status)


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Start the API alone. It needs a Redis (REDIS_URL) and workers to audit and train."""
    from app.server.listening import CannotListen
    from app.server.serve import serve

    keep_files_private()
    with told_as_a_process(CannotListen):
        serve(load_settings(host=host, port=port, data_dir=data_dir))


def worker(queue: Queue) -> None:
    """Start one worker, of audits or of trainings. It needs REDIS_URL and the API's database."""
    with told_as_a_process():
        load_settings()
    # By name: the service never imports its workers. This process becomes the worker.
    command = python_command("workers", queue.value)
    os.execve(sys.executable, command, python_environment(os.environ))  # noqa: S606


@contextmanager
def told_as_a_process(*errors: type[Exception]) -> Iterator[None]:
    """End with status 1 and the reason, in the form that logs have, where the block cannot start.

    Args:
        errors: that say why, besides BadSetting.
    """
    from app.observability import logs

    reasons: tuple[type[Exception], ...] = (BadSetting, *errors)
    try:
        yield
    except reasons as error:
        logs.cannot_start(str(error))
        raise typer.Exit(1) from error
