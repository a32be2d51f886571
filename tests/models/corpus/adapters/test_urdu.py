"""File names of URDU, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "Angry/SM1_F10_A010.wav": Labels("SM1", "m", "anger", ""),
    "Sad/SF10_F1_S01.wav": Labels("SF10", "f", "sadness", ""),
    "SM4_F48_A0100.wav": Labels("SM4", "m", "anger", ""),
}
FOREIGN = ["M1_F10_A010.wav", "SX1_F10_A010.wav", "SM1_F10_X010.wav", "SM1_A010.wav"]
