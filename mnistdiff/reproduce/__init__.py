"""Every table and figure of the report at its own scale: run, checked and verified."""

from mnistdiff.reproduce.catalogue import CATALOGUE, Experiment, Unit, plan, select
from mnistdiff.reproduce.check import check_results, list_experiments
from mnistdiff.reproduce.files import RESULTS, add_run, is_done, read_result
from mnistdiff.reproduce.runner import reproduce

__all__ = [
    "CATALOGUE",
    "RESULTS",
    "Experiment",
    "Unit",
    "add_run",
    "check_results",
    "is_done",
    "list_experiments",
    "plan",
    "read_result",
    "reproduce",
    "select",
]
