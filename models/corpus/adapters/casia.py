"""CASIA: Mandarin, 4 speakers, 6 emotions (Institute of Automation, Chinese Academy of Sciences).

Names: ``wangzhe/angry/201`` = folders of the speaker and the emotion, number of the sentence, as
the 1,200 clips that are handed around are sorted; or ``201-angry-wangzhe``. The rule and who is a
woman stand in no paper: they are what published programs that read the corpus agree on.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels

EMOTIONS: Final = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
GENDERS: Final = {"liuchanhg": "f", "wangzhe": "m", "zhaoquanyin": "f", "zhaozuoxiang": "m"}
_SPEAKER: Final = r"(?P<speaker>liuchanhg|wangzhe|zhaoquanyin|zhaozuoxiang)"
_EMOTION: Final = r"(?P<emotion>angry|fear|happy|neutral|sad|surprise)"
_NUMBER: Final = r"(?P<number>[0-9]{1,3})"
NAMES: Final = (
    re.compile(rf"(?:.*/)?{_SPEAKER}/{_EMOTION}/{_NUMBER}", re.IGNORECASE),
    re.compile(rf"(?:.*/)?{_NUMBER}-{_EMOTION}-{_SPEAKER}", re.IGNORECASE),
)


@ADAPTERS.register("casia")
def parse(path: str) -> Labels | None:
    """What the folders and the file name tell; None when they are not CASIA's."""
    name = path.rsplit(".", 1)[0]
    match = NAMES[0].fullmatch(name) or NAMES[1].fullmatch(name)
    if match is None:
        return None
    speaker, emotion = match["speaker"].lower(), match["emotion"].lower()
    return Labels(speaker, GENDERS[speaker], EMOTIONS[emotion], match["number"])
