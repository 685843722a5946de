"""ARC: inferring the transformation of coloured grids from a few demonstrations."""
