"""How an agent learns: the loop, its losses and optimizers, and what watches over a run."""
