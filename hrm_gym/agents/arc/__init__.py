"""Test-time training on ARC: one network per task, trained on the task's demonstrations."""
