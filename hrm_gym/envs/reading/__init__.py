"""One reader for all puzzles that people hand in: text, tables, JSON, arrays, files of any of these, and objects."""
