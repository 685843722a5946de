"""The architectures, one file each, and the layers that they share."""
