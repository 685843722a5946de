"""Sudoku: task, generator, solver and symmetries."""
