"""What has been graded: the ledger, and the gradebook of nbgrader."""
