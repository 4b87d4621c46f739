"""Grading: one notebook, the worker processes, and a run over the class."""
