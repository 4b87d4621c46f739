"""A submission on its way in: files, copies, cells, and the notebook that is run."""
