"""nEMO: Polish, 9 actors, 90 sentences, 6 emotions (Christop, LREC-COLING 2024).

Names: ``EB0_anger_1`` = actor, emotion, sentence, as the corpus's README gives them
(https://github.com/amu-cai/nEMO). The genders are those of its ``data.tsv``.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}
GENDERS: Final = {
    "EB0": "f",
    "IC0": "f",
    "KD0": "f",
    "KS0": "m",
    "MK0": "f",
    "MP0": "m",
    "SM0": "m",
    "TP0": "m",
    "WR0": "m",
}
NAME: Final = re.compile(
    r"(EB0|IC0|KD0|KS0|MK0|MP0|SM0|TP0|WR0)_(anger|fear|happiness|neutral|sadness|surprised)"
    r"_([1-9]|[1-8][0-9]|90)"
)


@ADAPTERS.register("nemo")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of nEMO's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    actor, emotion, sentence = match.groups()
    return Labels(actor, GENDERS[actor], EMOTIONS[emotion], sentence)
