"""The quality of generated digits: a pinned classifier as judge, and measures with intervals.

Images are (N, 1, 28, 28) float in [0, 1]; they are rounded to 8 bits before scoring.
"""

from mnistdiff.metrics.classifier import (
    CONFIDENT,
    ClassifierConfig,
    DigitClassifier,
    Judge,
    Reading,
    label_accuracy,
    load_judge,
    load_second_classifier,
    read_digits,
    to_8_bits,
)
from mnistdiff.metrics.distances import (
    distance_floor,
    distance_to_train,
    frechet_distance,
    gaussian_statistics,
    memorisation,
    prdc,
    shuffled_test_features,
)
from mnistdiff.metrics.intervals import student_interval, student_t, wilson_interval
from mnistdiff.vae import active_units, kl_per_dimension

__all__ = [
    "CONFIDENT",
    "ClassifierConfig",
    "DigitClassifier",
    "Judge",
    "Reading",
    "active_units",
    "distance_floor",
    "distance_to_train",
    "frechet_distance",
    "gaussian_statistics",
    "kl_per_dimension",
    "label_accuracy",
    "load_judge",
    "load_second_classifier",
    "memorisation",
    "prdc",
    "read_digits",
    "shuffled_test_features",
    "student_interval",
    "student_t",
    "to_8_bits",
    "wilson_interval",
]
