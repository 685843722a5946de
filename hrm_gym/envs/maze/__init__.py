"""Mazes: the task, its generator, its solver, its symmetries and its view."""
