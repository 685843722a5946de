"""Rules for when to stop thinking, and what they learn from."""
