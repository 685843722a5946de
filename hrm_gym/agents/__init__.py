"""Networks that think in segments, and how they learn."""
