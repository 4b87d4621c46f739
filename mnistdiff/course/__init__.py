"""Tools for students: check a notebook, check the installation, and say what is wrong in a cell."""

