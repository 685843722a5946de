"""Continue or halt, over a frozen agent."""
