"""Predecessors and relatives of HRM, one file each, and their shared parts."""
