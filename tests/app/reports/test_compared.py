"""What hardening has changed, in the page and in the table of the PDF."""

from pathlib import Path

from app.audits.result import BeforeAfter
from app.reports import html, tables
from models.audit.comparison import Delta, Ranked
from models.audit.comparison.significance import McNemar
from tests.app.reports.conftest import lay_down
from tests.app.reports.made import made

BEFORE, NOW = "audit_before", "audit_now"
SENTENCE = "Do not rank the model before and the hardened one on the clips as they are."
FOUND = BeforeAfter(
    baseline=BEFORE,
    url=f"/v1/comparisons?audits={BEFORE}&audits={NOW}",
    clips=48,
    speakers=12,
    comparisons=3,
    ranking=[
        Ranked(
            case="clean", figure="uar", a=BEFORE, b=NOW, better=None, value=0.07,
            interval=(-0.04, 0.13), n=48, n_speakers=12, p_holm=0.36, sentence=SENTENCE,
        )
    ],
    deltas=[
        Delta(
            case="clean", figure="uar", a=BEFORE, b=NOW, of_a=0.42, of_b=0.49, value=0.07,
            interval=(-0.04, 0.13), n=48, n_speakers=12, method="bootstrap_speakers", p=0.12,
            p_holm=0.36, mcnemar=McNemar.of(6, 3), z_test=None,
        )
    ],
)  # fmt: skip


def test_each_difference_has_its_interval_its_p_and_its_clips() -> None:
    (table,) = tables.compared(FOUND)
    assert table.rows == (
        ("the clips as they are", "UAR", ".42", ".49", ".07 [−.04, .13]", ".360", "6 : 3", "48"),
    )
    assert table.note == (
        "48 clips of 12 speakers that both audits have. Holm's p is adjusted for 3 comparisons."
    )


def test_an_audit_that_follows_no_other_has_no_such_table() -> None:
    assert tables.compared(None) == []


def test_the_page_says_whether_the_hardened_model_is_better(tmp_path: Path) -> None:
    one = made()
    folder = tmp_path / "found"
    without = html.write(lay_down(one, folder)).decode()
    assert "Before and after hardening" not in without
    one.report.result.comparison = FOUND
    page = html.write(lay_down(one, tmp_path / "again")).decode()
    assert page.count("Before and after hardening") == 2  # the list of sections, and the section
    assert SENTENCE in page
    assert ".07 [−.04, .13]" in page
