"""How Sudokus are made: minimal ones, easy ones, and the searches for hard ones."""
