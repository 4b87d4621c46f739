"""The results: the ledger, and nbgrader's gradebook."""
