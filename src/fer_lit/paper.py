"""The facts of the paper that is repeated here.

Dobeš & Sabolová, "Emotion Recognition Using Pretrained Deep Neural Networks".
"""

CLASSES = ["angry", "happy", "neutral"]
BANDS = {"eyes": slice(10, 20), "nose": slice(20, 30), "mouth": slice(30, 40)}
"""The rows of a 48×48 face that each condition covers, over the whole width."""
CONDITIONS = ("none", *BANDS)
BAND_HEIGHT = 10
ACCURACY = {"none": 74.20, "eyes": 72.01, "nose": 70.21, "mouth": 52.10}
"""Validation accuracy in % under each condition."""
OTHER_STUDIES = {
    "Goodarzi et al.": {"none": 74.28, "eyes": 72.6, "mouth": 69.8},
    "Vyas & Hablani": {"none": 94.82, "eyes": 93.10, "nose": 91.37, "mouth": 89.67},
}
"""Accuracy in % when a part of the face is covered, on other data and with other networks, as cited
by the paper."""
