"""The condition of a corpus's recordings, ``conditions.json``: the clips in the order of the
manifest."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from models.audio import Condition
from models.corpus.manifest import CorpusError

CONDITIONS_NAME: Final = "conditions.json"


def write_conditions(folder: Path, conditions: Sequence[Condition]) -> None:
    """Write them beside the features."""
    text = json.dumps([asdict(one) for one in conditions])
    (folder / CONDITIONS_NAME).write_text(text, encoding="utf-8")


def read_conditions(folder: Path, clips: int) -> tuple[Condition, ...] | None:
    """What `write_conditions` wrote; None for a corpus that is older than this file.

    Args:
        clips: that there are in the corpus.

    Raises:
        CorpusError: the file is damaged, or of other clips (code ``bad_features``).
        OSError: it cannot be read.
    """
    try:
        found = json.loads((folder / CONDITIONS_NAME).read_bytes())
        known = tuple(Condition(one["level_dbfs"], tuple(one["warnings"])) for one in found)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(f"it is damaged ({error})") from error
    if len(known) != clips:
        raise _bad(f"it tells of {len(known)} clips, and there are {clips}")
    return known


def _bad(reason: str) -> CorpusError:
    return CorpusError(
        "bad_features",
        f"{CONDITIONS_NAME} of the corpus cannot be used: {reason}. Upload it again.",
    )
