"""ARC: grids of colours that a few demonstrations transform, and a rule that must be found from them."""
