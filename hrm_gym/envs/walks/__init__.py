"""Walks through mazes: what stands at places that one comes back to."""
