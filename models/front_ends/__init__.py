"""Front ends, one a file: what a network hears of a recording, before the z-score.

A module of this folder that registers an instance with ``@FRONT_ENDS.register`` is found by itself.
"""

from models.front_ends.front_end import FRONT_ENDS, FrontEnd, FrontEndName, described
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["FRONT_ENDS", "FrontEnd", "FrontEndName", "described"]
