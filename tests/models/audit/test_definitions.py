"""The page of measures is what the measures say of themselves."""

from models.audit.definitions import page
from models.audit.measures import BREAKDOWNS, MEASURES
from tests.models.pages import DOCS


def test_the_page_is_the_one_that_the_definitions_make() -> None:
    text = (DOCS / "measures.md").read_text(encoding="utf-8")
    assert text == page(), "run make measures"


def test_every_measure_has_a_section() -> None:
    for name in (*MEASURES, *BREAKDOWNS):
        assert f"\n## {name}\n" in page()
