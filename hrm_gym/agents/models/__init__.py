"""The architectures, one file each, and their shared layers."""
