"""Adaptive computation time on parity: harder inputs are pondered longer (arXiv 1603.08983, section 3.1).

python -m examples.lineage.act_parity
"""

from examples.lineage.parity import tell

if __name__ == "__main__":
    tell("act")
