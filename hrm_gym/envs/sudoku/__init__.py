"""Sudoku: task, generator, solver and symmetries."""

SYMBOLS = ".123456789ABCDEFG"
"""Characters of the blank and the digits; a smaller board uses the first ones."""
