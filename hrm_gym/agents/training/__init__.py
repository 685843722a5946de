"""How an agent learns: the loop, losses, optimizers, and the monitoring of a run."""
