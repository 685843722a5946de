"""Sequence tasks as boards of one row: copying, parity, addition."""
