"""Saved agents: configuration, checkpoint and card, and how to load them."""
