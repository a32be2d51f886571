"""EMOVO: Italian, 6 actors, 14 sentences, 7 emotions (Costantini et al., LREC 2014).

Names: ``dis-f1-b1`` = emotion (the first letters of its Italian name), actor (with the gender),
sentence (b short, l long, n nonsense, d question).
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "dis": "disgust",
    "gio": "happiness",  # gioia
    "neu": "neutral",
    "pau": "fear",  # paura
    "rab": "anger",  # rabbia
    "sor": "surprise",  # sorpresa
    "tri": "sadness",  # tristezza
}
NAME: Final = re.compile(r"(dis|gio|neu|pau|rab|sor|tri)-([fm][123])-(b[1-3]|l[1-4]|n[1-5]|d[12])")


@ADAPTERS.register("emovo")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of EMOVO's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    emotion, actor, sentence = match.groups()
    return Labels(actor, actor[0], EMOTIONS[emotion], sentence)
