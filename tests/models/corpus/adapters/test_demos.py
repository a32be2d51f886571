"""File names of DEMoS, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "DEMOS/PR_f_13_rab01a.wav": Labels("13", "f", "anger", ""),
    "NP_m_05_col12b.wav": Labels("05", "m", "guilt", ""),
    "NEU/f_08_neu01.wav": Labels("08", "f", "neutral", ""),
    "NP_m_69_gio03.wav": Labels("69", "m", "happiness", ""),
    "NP_f_01_pau01a.wav": Labels("01", "f", "fear", ""),
    "PR_m_02_sor01a.wav": Labels("02", "m", "surprise", ""),
    "PR_m_02_tri01a.wav": Labels("02", "m", "sadness", ""),
    "PR_m_02_dis01a.wav": Labels("02", "m", "disgust", ""),
}
FOREIGN = ["PR_x_13_rab01a.wav", "XX_f_13_rab01a.wav", "PR_f_13_xyz01.wav", "PR_f_rab01a.wav"]
