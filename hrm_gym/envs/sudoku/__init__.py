"""Sudoku: the task, its generator, its solver and its symmetries."""
