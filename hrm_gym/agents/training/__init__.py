"""How an agent learns, from the configuration to the checkpoint."""
