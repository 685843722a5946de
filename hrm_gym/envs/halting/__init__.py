"""Environments in which a policy decides when a frozen agent halts."""
