"""The pages of checks: one is made from what they say of themselves, the other's example works."""

from dataclasses import replace

from models.audit.check_definitions import page
from models.audit.checks import CHECKS, judge
from tests.models.audit.checks.planted import NOISE, SOUND
from tests.models.pages import DOCS, added

FEW = replace(SOUND, truth=SOUND.truth[:30], attacks=(NOISE,))


def test_the_page_is_the_one_that_the_checks_make() -> None:
    assert (DOCS / "checks.md").read_text(encoding="utf-8") == page(), "run make checks"


def test_every_check_has_a_section() -> None:
    for name in CHECKS:
        assert f"\n## {name}\n" in page()


def test_the_example_is_in_every_result_and_afterwards_gone() -> None:
    audit = FEW.observed()
    with added("adding-a-check.md"):
        (found,) = (one for one in judge(audit).checks if one.id == "short_clips")
    assert (found.status, found.severity) == ("clear", "note")
    assert found.measured == "0% of the clips last less than a second."
    assert "short_clips" not in {one.id for one in judge(audit).checks}
