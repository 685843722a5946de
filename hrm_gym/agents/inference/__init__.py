"""Thinking without learning: attempts, votes, evaluation."""
