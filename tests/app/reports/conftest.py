"""Fixtures for the tests of reports: a finished audit with its files, and a browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.rows import write_index
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.reports import html
from app.reports.material import Material
from app.settings import Settings
from tests.app.reports.made import Made, judged, made
from tests.recorded import record

BASE_URL = "http://127.0.0.1:8000/"
Written = Callable[[Made], Path]


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


def lay_down(one: Made, folder: Path) -> Material:
    """The files of an audit in a folder, and what its report is written from."""
    (folder / files.ARTIFACTS).mkdir(parents=True, exist_ok=True)
    (folder / files.ROWS).write_bytes(one.lines)
    write_index(folder / files.ROWS)
    (folder / files.REPORT).write_text(one.report.model_dump_json(), encoding="utf-8")
    return Material(one.report, folder, BASE_URL)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The page of an audit as a file."""

    def write(one: Made) -> Path:
        path = tmp_path / "report.html"
        path.write_bytes(html.write(lay_down(one, tmp_path / "found")))
        return path

    return write


@pytest.fixture
def finished(session: Session, storage: Storage, settings: Settings) -> Iterator[str]:
    """The id of an audit that has succeeded, with its files and a warning."""
    job_id = record(session, Submission(JobKind.AUDIT, "local", {"model": "m"})).id
    engine = connect(settings.database_url)
    attempt = claim(sessions(engine), job_id)
    assert attempt is not None
    attempt.warn("The corpus' recordings are not at hand.")
    one = judged(made(12))
    one.report.audit = job_id
    lay_down(one, files.attempt_dir(storage, job_id, attempt.number))
    attempt.succeed(one.report.result.model_dump(mode="json"))
    yield job_id
    engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; tests that want it are skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
