"""DEMoS: Italian, 68 speakers, 7 emotions and neutral (Parada-Cabaleiro et al., LREV 2020).

Names: ``PR_f_13_rab01a`` = prototypical (PR) or not (NP), gender, speaker, emotion (the first
letters of its Italian name) with the number of the sample; neutral clips may lack the prefix. What
is said differs from speaker to speaker and has no name.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "col": "guilt",  # colpa
    "dis": "disgust",
    "gio": "happiness",  # gioia
    "neu": "neutral",
    "pau": "fear",  # paura
    "rab": "anger",  # rabbia
    "sor": "surprise",  # sorpresa
    "tri": "sadness",  # tristezza
}
NAME: Final = re.compile(
    r"(?:(?:NP|PR)_)?([fm])_([0-9]{1,3})_(col|dis|gio|neu|pau|rab|sor|tri)[0-9A-Za-z]{0,8}"
)


@ADAPTERS.register("demos")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of DEMoS's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    gender, speaker, emotion = match.groups()
    return Labels(speaker, gender, EMOTIONS[emotion], "")
