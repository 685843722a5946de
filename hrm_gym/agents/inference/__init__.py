"""Inference: solving, attempts, voting, evaluation, and frozen agents for halting environments."""
