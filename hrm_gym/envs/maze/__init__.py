"""Mazes: task, generator, solver, symmetries and view."""
