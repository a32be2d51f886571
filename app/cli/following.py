"""A job on the terminal: a bar with the latest losses, lines for what happens, and its end."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from app.cli.api import Api, Refused, Unreachable
from app.cli.errors import CliError
from app.cli.output import err_console, text

TERMINAL: Final = {"succeeded", "failed", "cancelled"}
RETRY_SECONDS: Final = 1.0
# A service that is restarted is back by then; the job goes on in any case.
PATIENCE_SECONDS: Final = 60.0
TOO_MANY: Final = 429


class Event(NamedTuple):
    """One server-sent event."""

    type: str
    data: dict[str, Any]


class Display:
    """Shows a job's events: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, noun: str) -> None:
        self.console = err_console()
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[news]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.progress.add_task(f"{noun} queued", total=None, unit="", left="", news="")
        self.noun = noun

    def show(self, event: Event) -> None:
        """Show one event."""
        data = event.data
        match event.type:
            case "progress":
                self.progress.update(
                    self.task,
                    completed=data.get("done") or 0,
                    total=data.get("total"),
                    unit=data.get("unit") or "",
                    left=left(data.get("eta_seconds")),
                )
            case "step" | "scored":  # the bar counts what is scored
                if not self.console.is_terminal:
                    self.say(event)
                elif event.type == "step":
                    self.progress.update(self.task, news=news(data))
            case "cell":
                self.console.print(cell(data), soft_wrap=True)
            case "caused" if self.noun == "study":
                pass  # hundreds of jobs, of which cells tell what has become
            case "queued" | "running" | "cancelling":
                self.progress.update(self.task, description=f"{self.noun} {event.type}")
                self.say(event)
            case _:
                self.say(event)

    def say(self, event: Event) -> None:
        """Print what happened as a line above the bar."""
        self.console.print(f"{event.type}  {news(event.data)}".rstrip(), soft_wrap=True)


def left(seconds: float | None) -> str:
    """The time left as the service knows it: a bar's own pace counts cheap passes as dear ones."""
    if seconds is None:
        return ""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02} left"


def news(data: dict[str, Any]) -> str:
    """An event's data in one line: `loss 1.234  learning_rate 0.001`."""
    return "  ".join(f"{name} {_brief(value)}" for name, value in data.items())


def cell(data: dict[str, Any]) -> str:
    """What has become of a cell of a study, in one line."""
    told = "reused" if data.get("reused") else f"{data.get('seconds', 0):.0f} s"
    reasons = "; ".join(str(error.get("message")) for error in data.get("errors") or [])
    return f"cell {data.get('status')}  {data.get('cell')}  {told}  {reasons}".rstrip()


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}: {_brief(one)}" for name, one in value.items())
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    return text(value)


def follow(api: Api, job: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """Show the job until it has ended, and return it as it is then.

    Ctrl-C ends the watching, not the job: it is told how to cancel, or asked whether to.
    """
    path = job["urls"]["self"]
    display = Display(job["object"])
    err = display.console
    if not quiet:
        err.print(f"{job['id']} is {job['status']}: {api.url}{path}", soft_wrap=True)
    try:
        with display.progress:
            for event in _events(api, path):
                if not quiet:
                    display.show(event)
    except KeyboardInterrupt:
        _interrupted(api, job)
    ended: dict[str, Any] = api.get(path)
    return ended


def succeeded(job: dict[str, Any]) -> dict[str, Any]:
    """The result of a job that has ended well.

    Raises:
        CliError: it failed or was cancelled.
    """
    if job["status"] == "succeeded":
        result: dict[str, Any] = job["result"]
        return result
    error = job.get("error") or {}
    reason = f": {error.get('message')} ({error.get('code')})" if error else ""
    raise CliError(f"{job['id']} {job['status']}{reason}")


def _interrupted(api: Api, job: dict[str, Any]) -> None:
    cancel = job["urls"]["cancel"]
    sys.stderr.write("\n")
    if sys.stdin.isatty() and typer.confirm(f"Cancel {job['id']}?", err=True):
        after = api.post(cancel)
        typer.echo(f"{job['id']} is {after['status']}.", err=True)
    else:
        typer.echo(
            f"{job['id']} goes on. `serval jobs follow {job['id']}` watches it again, `serval jobs"
            f" cancel {job['id']}` ends it.",
            err=True,
        )
    raise typer.Exit(130)


def _events(api: Api, path: str) -> Iterator[Event]:
    """The job's events until it has ended, also over a restart of the service."""
    last = ""
    lost_at: float | None = None
    while True:
        try:
            for id_, event in _stream(api, path, last):
                last, lost_at = id_ or last, None
                yield event
            if api.get(path)["status"] in TERMINAL:
                return
        except (Unreachable, Refused) as error:
            if isinstance(error, Refused) and error.status not in {TOO_MANY, 503}:
                raise
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > PATIENCE_SECONDS:
                raise CliError(
                    f"{error}\nThe job goes on; look at it later: `serval jobs show"
                    f" {path.rpartition('/')[2]}`."
                ) from error
        time.sleep(RETRY_SECONDS)


def _stream(api: Api, path: str, last: str) -> Iterator[tuple[str, Event]]:
    """The events after the one with the id ``last``, with their ids."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    with api.lines(f"{path}/events", headers) as lines:
        fields: dict[str, str] = {}
        for line in lines:
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields:
                event = json.loads(fields["data"])
                data = event.get("data", event)  # a stored event wraps its data, progress does not
                yield fields.get("id", ""), Event(fields.get("event", "message"), data)
            fields = {}
