"""`serval compare`, against a real service."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.storage import Storage
from app.settings import Settings
from tests.app.audits.conftest import found_rows
from tests.app.cli.conftest import Serval
from tests.app.comparisons.conftest import REQUEST, auditing, unbroken
from tests.recorded import record


@pytest.fixture
def two(session: Session, settings: Settings, url: str) -> Iterator[list[str]]:
    """An audit with broken clips, and one of a model that nothing breaks."""
    with auditing(session, Storage(settings.data_dir), settings) as audited:
        yield [audited(), audited(unbroken(found_rows()), request={"seed": 7})]


def test_a_table_and_sentences_are_for_people(serval: Serval, two: list[str]) -> None:
    said = serval("compare", *two)
    assert said.status == 0, said.err
    assert f"A  {two[0]}  knowing" in said.out
    assert "in common: 12 clips, 4 speakers; attacks at a strength: 2" in said.out
    assert "differs: request.seed: A 0 | B 7" in said.out
    assert "0.1 sigma (features linf), fgsm" in said.out
    assert "Do not rank A and B on the clips as they are" in said.out


def test_evidence_that_is_invalid_is_shown(
    serval: Serval, session: Session, settings: Settings, url: str
) -> None:
    with auditing(session, Storage(settings.data_dir), settings) as audited:
        both = [audited(evidence="invalid"), audited()]
        said = serval("compare", *both)
    assert said.status == 0, said.err
    assert f"A  {both[0]}  knowing  evidence invalid\n" in said.out
    assert f"B  {both[1]}  knowing  evidence sound\n" in said.out
    assert "The evidence of A is invalid" in said.err
    assert "worst case: the evidence of A is invalid." in said.out


@pytest.mark.parametrize(
    ("form", "begins"),
    [("csv", "figure,case,domain"), ("markdown", "# Comparison of audits"), ("json", "{")],
)
def test_other_forms_are_for_programs(
    serval: Serval, two: list[str], form: str, begins: str
) -> None:
    said = serval("compare", *two, "--format", form, "--baseline", two[1], "--figure", "uar")
    assert said.status == 0, said.err
    assert said.out.startswith(begins)
    if form == "json":
        found = json.loads(said.out)
        assert {(one["a"], one["figure"]) for one in found["deltas"]} == {(two[1], "uar")}


def test_an_audit_that_runs_is_named(serval: Serval, two: list[str], session: Session) -> None:
    queued = record(session, Submission(JobKind.AUDIT, "local", REQUEST, model="knowing")).id
    said = serval("compare", two[0], queued)
    assert said.status == 1
    assert f"{queued} is queued" in said.err


def test_one_audit_is_refused(serval: Serval, two: list[str]) -> None:
    said = serval("compare", two[0])
    assert said.status == 1
    assert "audits" in said.err
