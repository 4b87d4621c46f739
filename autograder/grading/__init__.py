"""Grading: one notebook, the workers that do it, and a run over the class."""
