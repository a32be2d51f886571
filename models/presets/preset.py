"""What a preset is: attacks and corruptions under one name, beside which a request may have its
own.

A request that names one is stored as the attacks and corruptions that it stands for, so that an
audit says by itself what was run, whatever a later version makes of the name.
"""

from typing import Annotated, Any, ClassVar, Final

from models.attacks import Attack
from models.catalogue import Catalogue, NameIn
from models.corruptions import Corruption


class Preset:
    """Base of all presets. The first paragraph of a subclass's docstring is its description.

    Class attributes:
        attacks: in their order. A preset that has adversaries has noise of the same sizes too,
            unless it repeats somebody else's method.
        corruptions: in their order.
        fields: other fields of a request that are part of the method, with the values that it
            needs.
        takes_a_source: whether :meth:`transferred` gives attacks.
    """

    attacks: ClassVar[tuple[Attack, ...]] = ()
    corruptions: ClassVar[tuple[Corruption, ...]] = ()
    fields: ClassVar[dict[str, Any]] = {}
    takes_a_source: ClassVar[bool] = False

    @classmethod
    def transferred(cls, source: str) -> tuple[Attack, ...]:  # noqa: ARG003  (of subclasses)
        """Attacks that are carried out on another model, behind :attr:`attacks`.

        Args:
            source: what a request calls that model.
        """
        return ()


PRESETS: Final[Catalogue[type[Preset]]] = Catalogue("preset")
"""Every preset by name."""

PresetName = Annotated[str, NameIn(PRESETS)]


def description(preset: type[Preset]) -> str:
    """What it is for, in one line."""
    return " ".join((preset.__doc__ or "").split("\n\n")[0].split())


def described() -> str:
    """What there is to choose from, for requests."""
    return " ".join(f"{name}: {description(one)}" for name, one in sorted(PRESETS.items()))
