"""Halting rules: when to stop thinking, and how they learn it."""
