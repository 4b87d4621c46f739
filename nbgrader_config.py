"""For students who start Jupyter or nbgrader here; see notebooks/nbgrader_config.py."""

load_subconfig("notebooks/nbgrader_config.py")
