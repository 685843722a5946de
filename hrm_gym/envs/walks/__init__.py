"""Walks through mazes: predict the object at a place that was visited before."""
