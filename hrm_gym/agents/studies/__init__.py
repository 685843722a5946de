"""Experiments with trained agents."""
