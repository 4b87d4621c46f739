"""Evaluation of generators: the measures, the protocol over seeds, and each kind of model."""

from mnistdiff.evaluation.curve import CURVE, evaluations, quality_curve
from mnistdiff.evaluation.measure import NEIGHBOURS, measure, real_against_real
from mnistdiff.evaluation.protocol import check_images_file, evaluate, save_images, summarise

__all__ = [
    "CURVE",
    "NEIGHBOURS",
    "check_images_file",
    "evaluate",
    "evaluations",
    "measure",
    "quality_curve",
    "real_against_real",
    "save_images",
    "summarise",
]
