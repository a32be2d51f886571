"""URDU: 400 clips of talk shows by 38 speakers, 4 emotions (Latif et al., FIT 2018).

Names: ``SM1_F10_A010`` = speaker with the gender (SM or SF), number of the file of that speaker,
emotion with the number of the clip, as the files of the corpus's repository are named
(https://github.com/siddiquelatif/URDU-Dataset). What is said has no name.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
NAME: Final = re.compile(r"(S([FM])[0-9]{1,2})_F[0-9]{1,3}_([AHNS])[0-9]{1,4}")


@ADAPTERS.register("urdu")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of URDU's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    speaker, gender, emotion = match.groups()
    return Labels(speaker, gender.lower(), EMOTIONS[emotion], "")
