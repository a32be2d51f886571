"""`serval jobs`: list, show, follow, cancel and remove audits, trainings and studies."""

from itertools import islice
from typing import Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, PAGE, Api, Key, Url, path_to
from app.cli.audit_result import show_audit
from app.cli.detector import is_detector, show_detector
from app.cli.following import TERMINAL, left, succeeded
from app.cli.following import follow as follow_job
from app.cli.output import Json, print_json, table
from app.cli.study_following import show_study
from app.cli.train import show as show_training
from app.jobs.states import JobKind, JobStatus

app = typer.Typer(
    name="jobs",
    no_args_is_help=True,
    help="List, show, follow, cancel and remove audits, trainings and studies.",
)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, audit_…, train_… or study_….")]
JobIds = Annotated[
    list[str], typer.Argument(metavar="JOBS", help="Their ids, audit_…, train_… or study_….")
]
COLUMNS = ("id", "status", "model", "progress", "left", "created")


@app.command("list")
def list_(
    *,
    kind: Annotated[JobKind | None, typer.Option(help="Of this kind alone.")] = None,
    status: Annotated[JobStatus | None, typer.Option(help="In this state alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """List your jobs, newest first."""
    path = path_to("jobs" if kind is None else kind.collection)
    wanted = None if status is None else status.value
    with Api(url, key) as api:
        pages = api.pages(path, limit=min(limit + 1, PAGE), status=wanted)
        found = list(islice(pages, limit + 1))
    if json:
        print_json(found[:limit])
    else:
        table(COLUMNS, [row(job) for job in found[:limit]])
    if len(found) > limit:
        typer.echo(f"There are more than these {limit}: give a larger --limit.", err=True)


@app.command()
def show(job: JobId, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Show a job: its state, and at its end what it found. Exit 1 if it failed."""
    with Api(url, key) as api:
        found = api.get(path_to("jobs", job))
    if json:
        print_json(found)
    elif found["status"] not in TERMINAL:
        table(COLUMNS, [row(found)])
        _warn(found)
    else:
        _show_end(found)


@app.command()
def follow(job: JobId, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Watch a job until its end, and show what it found. Ctrl-C ends the watching alone."""
    with Api(url, key) as api:
        ended = follow_job(api, api.get(path_to("jobs", job)), quiet=json)
    if json:
        print_json(ended)
        succeeded(ended)
    else:
        _show_end(ended)


@app.command()
def cancel(jobs: JobIds, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Cancel jobs. What has ended stays as it ended."""
    with Api(url, key) as api:
        after = [api.post(path_to("jobs", job, "cancel")) for job in jobs]
    if json:
        print_json(after)
        return
    for one in after:
        typer.echo(f"{one['id']} is {one['status']}.")


@app.command()
def remove(jobs: JobIds, *, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Delete jobs that have ended, with their results and files. Models that they made stay."""
    with Api(url, key) as api:
        for job in jobs:
            api.delete(path_to("jobs", job))
            typer.echo(f"{job} is removed.")


def row(job: dict[str, Any]) -> tuple[object, ...]:
    """A job as a line of a list with :data:`COLUMNS`."""
    made = job["progress"]
    progress = None
    if made["total"]:
        progress = f"{made['done']:g}/{made['total']:g} {made['unit'] or ''}".rstrip()
    waits = job["status"] not in TERMINAL
    time_left = left(made["eta_seconds"]) if waits and made["eta_seconds"] is not None else None
    created = job["created_at"][:16].replace("T", " ")
    return (job["id"], job["status"], job["model"], progress, time_left, created)


def _show_end(job: dict[str, Any]) -> None:
    """What a job that has ended found.

    Raises:
        CliError: it failed or was cancelled.
    """
    if job["status"] != "succeeded":
        _warn(job)
    result = succeeded(job)
    if job["object"] == "audit":
        show_audit(result, job, [])
    elif job["object"] == "study":
        show_study(result, job["id"])
        _warn(job)
    elif is_detector(job):
        show_detector(result)
        _warn(job)
    else:
        show_training(result, silent=False)
        _warn(job)


def _warn(job: dict[str, Any]) -> None:
    for warning in job["warnings"]:
        typer.echo(warning, err=True)
