"""The techniques of MITRE ATLAS that attacks carry out."""

from models.atlas import TECHNIQUES, described
from models.attacks import ATTACKS, parse
from models.audit.result import Scale
from models.audit.summary import summarize
from models.victims.victim import Access
from tests.models.audit.rows import LABELS, row, under

WHITE_BOX, BLACK_BOX, TRANSFER = (f"AML.T0043.00{number}" for number in range(3))


class TestTechniques:
    def test_every_adversary_names_known_ones_and_no_control_any(self) -> None:
        for name in ATTACKS:
            cls = ATTACKS[name]
            assert bool(cls.atlas) != cls.control, name
            assert set(cls.atlas) <= TECHNIQUES.keys(), name

    def test_follow_from_what_an_attack_sees_of_the_model(self) -> None:
        for name in ATTACKS:
            cls = ATTACKS[name]
            if not cls.control:
                expected = {
                    Access.GRADIENTS: WHITE_BOX, Access.SCORES: BLACK_BOX, Access.LABELS: TRANSFER,
                }[cls.needs]  # fmt: skip
                assert expected in cls.atlas, name
                assert "AML.T0015" in cls.atlas, name

    def test_stand_in_the_result_beside_the_attack(self) -> None:
        attacks = [parse({"type": name, "epsilon": [0.1]}) for name in ("square", "noise")]
        rows = [row("a", "a", [under(0, 0.1, "b"), under(1, 0.1, "a")])]
        scale = Scale(lowest=1, median=1, highest=1)
        found = summarize(rows, LABELS, attacks, of=1, scale=scale, seconds={})
        assert [one.atlas for one in found.attacks] == [[BLACK_BOX, "AML.T0015"], []]

    def test_one_that_is_not_known_here_is_shown_by_its_id(self) -> None:
        assert described(WHITE_BOX) == (
            "AML.T0043.000 Craft Adversarial Data: White-Box Optimization"
        )
        assert described("AML.T9999") == "AML.T9999"
