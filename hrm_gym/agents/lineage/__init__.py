"""What came before HRM and beside it: a file a system, and what only they share."""
