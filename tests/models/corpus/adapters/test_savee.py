"""File names of SAVEE, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "AudioData/DC/a01.wav": Labels("DC", "m", "anger", "a01"),
    "DC_d03.wav": Labels("DC", "m", "disgust", "d03"),
    "JE_sa15.wav": Labels("JE", "m", "sadness", "sa15"),
    "ALL/JK_su07.wav": Labels("JK", "m", "surprise", "su07"),
    "KL/n30.wav": Labels("KL", "m", "neutral", "n30"),
    "KL_h10.wav": Labels("KL", "m", "happiness", "h10"),
    "JK_f05.wav": Labels("JK", "m", "fear", "f05"),
}
FOREIGN = ["a01.wav", "DC_a16.wav", "DC_n31.wav", "DC_a00.wav", "XX_a01.wav", "EDC/a01.wav"]
