"""Identifiers."""

import pytest

from app.persistence.ids import is_id, new_id


class TestIds:
    def test_ids_say_what_they_name_and_differ(self) -> None:
        made = {new_id("audit") for _ in range(1000)}
        assert len(made) == 1000
        assert all(is_id(one, "audit") and not is_id(one, "train") for one in made)

    def test_later_ones_sort_later(self) -> None:
        import time

        first = new_id("model")
        time.sleep(0.002)
        assert first < new_id("model")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "audit_",
            "audit_../../etc/passwd",
            "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF\n",
            "audit_01k9zq3w8m4v7t2x6b5n0c1def",
            "other_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
            "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEFF",
            "audit_0\x00K9ZQ3W8M4V7T2X6B5N0C1DEF",
        ],
    )
    def test_nothing_else_is_an_id(self, text: str) -> None:
        assert not is_id(text)
