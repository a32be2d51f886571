"""serval-gate.toml."""

from datetime import date
from pathlib import Path

import pytest

from app.gates.errors import GateError
from app.gates.gate_file import MOST_BYTES, GateFile, read

GATES = """
baseline = "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
evidence = "sound"

[[gates]]
fail_if = "worst_uar@0.02.low < 0.35"
why = "Below that calm callers are taken for angry."

[[waivers]]
check = "small_class"
reason = "There are four clips of disgust."
until = 2027-03-01
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "serval-gate.toml"


class TestRead:
    def test_all_of_it_is_read(self, path: Path) -> None:
        path.write_text(GATES)
        found = read(path)
        assert found.baseline == "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
        assert found.evidence == "sound"
        assert found.gates[0].condition.name == "worst_uar"
        assert found.waivers[0].until == date(2027, 3, 1)

    def test_an_empty_one_demands_nothing(self, path: Path) -> None:
        path.write_text("")
        assert read(path) == GateFile()

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("basline = 'x'", "'basline': there is no such key; did you mean baseline?"),
            ("[[gates]]\nfail_iff = 'x < 1'", "did you mean fail_if?"),
            ("[[waivers]]\nchek = 'x'", "did you mean check?"),
            ("[[waivers]]\ncheck = 'x'\nreason = 'y'", "'waivers.0.until': Field required"),
            (
                "[[waivers]]\ncheck = 'x'\nreason = 'y'\nuntil = '2027-03-01'",
                "give a date, such as 2027-03-01, without quotes",
            ),
            (
                "[[waivers]]\ncheck = 'x'\nreason = 'y'\nuntil = 2027-03-01T12:00:00Z",
                "give a date",
            ),
            ("[[waivers]]\ncheck = 'x'\nreason = ''\nuntil = 2027-03-01", "at least 1 character"),
            ("evidence = 'invalid'", "'sound' or 'weak'"),
            ("gates = 3", "'gates': Input should be a valid list"),
            ("[[gates]]", "'gates.0.fail_if': Field required"),
            ("gates = [", "is no TOML"),
            (2 * GATES.partition("[[waivers]]")[2].join(["[[waivers]]", ""]), "twice"),
        ],
    )
    def test_what_does_not_hold_is_named_with_what_would(
        self, path: Path, text: str, told: str
    ) -> None:
        path.write_text(text)
        with pytest.raises(GateError) as caught:
            read(path)
        assert told in str(caught.value)
        assert "serval-gate.toml" in str(caught.value)

    def test_a_file_that_is_not_there_is_named(self, path: Path) -> None:
        with pytest.raises(GateError, match=r"serval-gate.toml' cannot be read: No such file"):
            read(path)

    @pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * (MOST_BYTES + 1), b"x = " + b"[" * 9_999])
    def test_hostile_bytes_are_refused(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        with pytest.raises(GateError, match=r"no TOML|larger than"):
            read(path)
