"""ARC tasks learned on the spot: a network of its own for each, trained on its demonstrations."""
