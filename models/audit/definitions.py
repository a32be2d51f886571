"""`docs/measures.md`: what each figure of a result is, from what the measures say of themselves.

``python -m models.audit.definitions`` prints it.
"""

import sys
from typing import Final

from models.audit.figure import METHODS
from models.audit.measures import BREAKDOWNS, MEASURES
from models.audit.measures.measure import Defined, Where

SHOWN: Final[dict[Where, str]] = {
    "clean": "`clean.measures`",
    "point": "`curve[].measures`",
    "worst_case": "`worst_case[].measures`",
}

HEAD: Final = """\
# Measures

`make measures` writes this page from the definitions in `models/audit/measures/`, one file each
([adding one](adding-a-measure.md)). All of them are taken of the rows of an audit
(`GET /v1/audits/{id}/results`) and can be taken again from those alone, except STOI, which is of
the WAVs.

Every figure is `{value, interval: [low, high], n, n_speakers, method}`: `n` clips of `n_speakers`
speakers (null where some are not known), and an interval at 95 %. Below, y is a clip's emotion, ŷ
the clean prediction, ŷ′ that under the attack, p and p′ the scores. A clip without a label counts
in flips, distortion, confidence and detection alone; if no clip has one, ŷ takes the place of y.
"""

INTERVALS: Final = """
## Intervals

Clips of one speaker are alike, so a bootstrap draws speakers, each with all of its clips: 2,000
times, from a fixed seed. Percentiles are taken at Student's levels (Hesterberg, The American
Statistician 2015) and corrected for the bias of the median (Efron 1981), because plain ones are too
narrow for the 10 to 24 speakers of most corpora. In simulated audits of 12 speakers whose log odds
of being right differ with a standard deviation of 1, the interval of the UAR held the truth in 94 %
of 1,000 audits; plain percentiles did in 90 %, and a bootstrap over clips in 63 %. With 5 speakers
it held it in 92 %, and so it did with 12 speakers where the UAR is .16.

"""


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for name, measure in sorted(MEASURES.items()):
        places = " · ".join(SHOWN[where] for where in measure.taken_of)
        parts.append(_section(name, places, measure))
    for name, breakdown in sorted(BREAKDOWNS.items()):
        parts.append(_section(name, breakdown.shown_in, breakdown))
    parts.append(INTERVALS)
    parts.extend(f"- `{method}`: {text}\n" for method, text in METHODS.items())
    return "".join(parts)


def _section(name: str, places: str, one: type[Defined]) -> str:
    return (
        f"\n## {name}\n\n{one.definition}\n\n"
        f"- Where: {places}\n- Formula: {one.formula}\n- Source: {one.source}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
