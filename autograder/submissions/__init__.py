"""From the files that were handed in to the notebook that is run."""
