"""One reader for all forms of puzzles: text, tables, JSON, arrays, files of any of these, and Python objects."""
