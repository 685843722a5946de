"""What is kept of an agent: its configuration, the file with its weights, its card, and how each is opened again."""
