"""Thinking without learning: attempts, votes, evaluation, agents behind halting environments."""
