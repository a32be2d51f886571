"""Figures, strengths and names of attacks, as a report writes them: for people, and on one line."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from models.attacks import ATTACKS
from models.audit.figure import Figure
from models.audit.result import AttackOfResult, Threat
from models.corruptions import CORRUPTIONS
from models.threats import AXES

NOTHING: Final = "–"
"""Where there is no figure."""
UNITS: Final = {"sigma": " σ", "full_scale": " of full scale"}
"""Behind a number; other units are written as they are called."""
GROUPS: Final = {"uar": "UAR", "success_rate": "success rate", "flip_rate": "flip rate"}
"""Figures that groups are compared by."""


def legible(text: str, most: int = 120) -> str:
    """``text`` as one line: names come from others' corpora.

    Control characters, which XML cannot hold and a terminal obeys, and marks that turn the
    direction of writing become visible escapes.

    Args:
        most: characters; the middle of a longer text is left out, as its ends tell files apart.
    """
    shown = "".join(letter if _is_plain(letter) else _escaped(letter) for letter in text)
    if len(shown) <= most:
        return shown
    end = (most - 1) // 2
    return f"{shown[: most - 1 - end]}…{shown[len(shown) - end :]}"


def _is_plain(letter: str) -> bool:
    """Whether a letter is neither a control, a turn of direction, a surrogate nor unassigned."""
    return unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def number(value: float | None, digits: int = 2) -> str:
    """A figure by itself, such as ".42": the zero before the point is left out, as findings do."""
    if value is None:
        return NOTHING
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def interval(figure: Figure | None, digits: int = 2) -> str:
    """Its interval, such as "[.33, .51]"."""
    if figure is None or figure.interval is None:
        return NOTHING
    low, high = figure.interval
    return f"[{number(low, digits)}, {number(high, digits)}]"


def with_interval(figure: Figure | None, digits: int = 2) -> str:
    """Both, such as ".42 [.33, .51]"."""
    if figure is None or figure.value is None:
        return NOTHING
    if figure.interval is None:
        return number(figure.value, digits)
    return f"{number(figure.value, digits)} {interval(figure, digits)}"


def count(n: int | None, one: str, many: str | None = None) -> str:
    """A number of things, such as "1 clip" or "48 clips"."""
    if n is None:
        return f"an unknown number of {many or one + 's'}"
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def taken_of(figure: Figure | None) -> str:
    """What a figure is taken of, such as "n = 48 clips, 12 speakers"."""
    if figure is None:
        return ""
    return f"n = {count(figure.n, 'clip')}, {speakers(figure.n_speakers)}"


def speakers(n: int | None) -> str:
    """How many there are, such as "12 speakers"."""
    return "speakers not known" if n is None else count(n, "speaker")


def tick(value: float) -> str:
    """A share below an axis, such as ".2"."""
    return "0" if value == 0 else number(value, 1).removesuffix(".0")


def compact(value: float) -> str:
    """A strength, without digits that say nothing."""
    return f"{value:.4g}".replace("-", "−")


def strength(value: float, threat: Threat) -> str:
    """A strength with its unit, such as "0.02 σ" or "40 dB SNR"."""
    unit = " dB SNR" if threat.domain == "waveform" and threat.unit == "dB" else f" {threat.unit}"
    return f"{compact(value)}{UNITS.get(threat.unit, unit)}"


def day(moment: str) -> str:
    """A moment as people write it; one that cannot be read stays as it is."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    # One without a zone is of UTC, as everything that is stored.
    return f"{found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def axis(threat: Threat) -> str:
    """What the strengths of a threat model are."""
    return AXES.get((threat.domain, threat.norm), f"in {threat.unit}")


def threat_name(threat: Threat) -> str:
    """What may be changed, such as "log-mels, L∞"."""
    if threat.domain == "corruption":
        return f"corruptions in {threat.unit}"
    domain = {"features": "log-mels"}.get(threat.domain, threat.domain)
    return f"{domain}, {threat.norm.replace('linf', 'L∞').replace('l2', 'L2')}"


def attack_names(attacks: Sequence[AttackOfResult]) -> list[str]:
    """A name for each attack and corruption: its type, and the parameters that are not their
    defaults. Two of a threat model that would be called the same have their numbers behind them."""
    plain = [(_attack_name(attack), attack.threat.model_dump_json()) for attack in attacks]
    seen = Counter(plain)
    return [
        f"{one[0]} (no. {attack.index + 1})" if seen[one] > 1 else one[0]
        for one, attack in zip(plain, attacks, strict=True)
    ]


def _attack_name(attack: AttackOfResult) -> str:
    defaults = _defaults(attack.type)
    told = [
        f"{name} {_plain(value)}"
        for name, value in attack.parameters.items()
        if name not in {"domain", "norm"} and value is not None and value != defaults.get(name)
    ]
    return legible(", ".join([attack.type, *told]))


def _defaults(kind: str) -> dict[str, Any]:
    """Of a type; of one that there is no more, nothing is known."""
    known: Any = None
    if kind in ATTACKS:
        known = ATTACKS[kind]
    elif kind in CORRUPTIONS:
        known = CORRUPTIONS[kind]
    return {} if known is None else {n: one.default for n, one in known.model_fields.items()}


def _plain(value: object) -> str:
    if isinstance(value, dict) and "label" in value:
        return str(value["label"])
    return str(value)
