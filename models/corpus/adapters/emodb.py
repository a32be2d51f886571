"""EMO-DB: German, 10 actors, 10 sentences, 7 emotions (Burkhardt et al., Interspeech 2005).

Names: ``03a01Fa`` = actor, sentence, emotion (the first letter of its German name), take.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "W": "anger",  # Wut, Ärger
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}
GENDERS: Final = {
    "03": "m",
    "08": "f",
    "09": "f",
    "10": "m",
    "11": "m",
    "12": "m",
    "13": "f",
    "14": "f",
    "15": "m",
    "16": "f",
}
NAME: Final = re.compile(r"(03|08|09|1[0-6])([ab][0-9]{2})([WLEAFTN])[a-z]")


@ADAPTERS.register("emodb")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of EMO-DB's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    actor, sentence, emotion = match.groups()
    return Labels(actor, GENDERS[actor], EMOTIONS[emotion], sentence)
