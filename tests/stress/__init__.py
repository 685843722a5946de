"""What a night, a full disk, a stranger's file and a careless hand do to the package; `python -m tests.stress`."""
