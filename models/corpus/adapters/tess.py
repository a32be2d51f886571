"""TESS: English, 2 actresses, 200 words, 7 emotions (Pichora-Fuller and Dupuis, Toronto 2010).

Names: ``OAF_back_angry`` = actress (OAF the older, YAF the younger), word, emotion (ps: pleasant
surprise). One file of the distribution, OA_bite_neutral, lacks a letter of the actress.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
NAME: Final = re.compile(r"(OAF?|YAF)_([A-Za-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)")


@ADAPTERS.register("tess")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of TESS's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    actress, word, emotion = match.groups()
    return Labels("OAF" if actress == "OA" else actress, "f", EMOTIONS[emotion], word.lower())
