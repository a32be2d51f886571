"""The table of all registered attacks, which the tests of this folder run through.

It is built from the registry when the tests are collected, so an attack that is registered is held
to the rules without an edit here. One that needs parameters, or is slow with its defaults, has in
its own test module, ``test_MODULE.py``, a list ``SMALL`` of those to be tested with.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from models.attacks import ATTACKS, Attack, parse
from models.rng import Rng
from models.threats import Domain, Norm, ThreatModel
from models.victims import Access, View
from tests.models.tiny import tiny_net
from tests.models.victims.spectrogram import inputs, victim

Parameters = dict[str, Any]
"""Of an attack in a request, without its type, its threat model and its strengths."""

STRENGTHS: Final[dict[tuple[Domain, Norm], tuple[float, float]]] = {
    ("features", "linf"): (0.05, 0.2),
    ("features", "l2"): (2.0, 8.0),
    ("waveform", "linf"): (0.001, 0.004),
    ("waveform", "l2"): (40.0, 25.0),
}
"""A weak one and a strong one."""

OF_VARIANTS: Final[list[tuple[Domain, Norm]]] = [("features", "linf"), ("waveform", "l2")]

OTHER_MODEL: Final = "other"
"""What a row may call a second model, for attacks that are crafted on one."""


@dataclass(frozen=True)
class Case:
    """An attack with small parameters, and what is known of it.

    Attributes:
        attack: with the two strengths of its threat model.
        given: what it was parsed from.
    """

    attack: Attack
    given: Parameters

    @property
    def name(self) -> str:
        """Shown as the parameter of a test."""
        special = [
            f"{key}={value['type'] if key == 'attack' else value}"
            for key, value in self.given.items()
            if key not in {"type", "domain", "norm", "epsilon", "snr_db"}
        ]
        return "-".join([self.attack.type, self.attack.domain, self.attack.norm, *special])

    @property
    def gradients(self) -> bool:
        """It goes by gradients of the model that is audited, and by nothing else."""
        return self.attack.needs == Access.GRADIENTS and self.attack.type != "ensemble"

    @property
    def away(self) -> bool:
        """It goes by gradients of the model, away from a label."""
        return self.gradients and not self.attack.targeted


def cases(*names: str) -> list[Case]:
    """These attacks, or every registered one, in each domain and norm that it takes.

    The first variant is in all of them, the others in one of each domain.
    """
    return [
        case
        for name in names or ATTACKS
        for number, small in enumerate(small_variants(name))
        for domain, norm in (STRENGTHS if number == 0 else OF_VARIANTS)
        if (case := accepted({"type": name, **small}, domain, norm)) is not None
    ]


def small_variants(name: str) -> list[Parameters]:
    """With which parameters the attack is tested: its defaults, unless its tests say otherwise."""
    module = f"{__package__}.test_{ATTACKS[name].__module__.rpartition('.')[2]}"
    try:
        variants: list[Parameters] = getattr(import_module(module), "SMALL", [{}])
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return [{}]
    return variants


def accepted(given: Parameters, domain: Domain, norm: Norm) -> Case | None:
    """The case, or None if the attack does not take this domain and norm."""
    strengths = {ThreatModel(domain, norm).strength_name: list(STRENGTHS[domain, norm])}
    whole = with_fields(given, {"domain": domain, "norm": norm} | strengths)
    try:
        return Case(parse(whole), whole)
    except ValidationError as error:
        if all(part["loc"][:1] in {("domain",), ("norm",)} for part in error.errors()):
            return None
        raise


def with_fields(given: Parameters, common: Parameters) -> Parameters:
    """With values of fields that all attacks have; a transfer has them in the attack inside."""
    if "attack" in given:
        return given | {"attack": with_fields(given["attack"], common)}
    return given | common


def every_attack(*, where: str = "") -> pytest.MarkDecorator:
    """Parametrise a test by ``case``: all of the table, or those of which an attribute is true."""
    wanted = [case for case in cases() if not where or getattr(case, where)]
    return pytest.mark.parametrize("case", wanted, ids=[case.name for case in wanted])


def setting(
    case: Case,
    n: int = 4,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> tuple[View, Tensor, Tensor]:
    """A view for the attack, with a second model beside it; x (n, …) and the labels y (n,)."""
    net = tiny_net()
    other = victim(tiny_net(seed=1), dtype=dtype, device=device)
    audited = victim(net, dtype=dtype, device=device)
    x, y = (part.to(device) for part in inputs(case.attack.domain, n, dtype=dtype))
    return audited.view(case.attack.domain, {OTHER_MODEL: other}), x, y


def crafted(
    case: Case, view: View, x: Tensor, y: Tensor, *, seed: int = 0, clips: list[int] | None = None
) -> list[Tensor]:
    """What the attack proposes at each of its strengths."""
    attack = case.attack
    radii = [attack.threat.radius(x, strength) for strength in attack.strengths]
    rng = Rng(seed, list(range(len(x))) if clips is None else clips)
    return [one.x for one in attack.craft(view, x, y, radii, rng)]


assert set(STRENGTHS) == {(d, n) for d in get_args(Domain) for n in get_args(Norm)}
