"""PonderNet on parity: harder inputs are pondered longer (arXiv 2107.05407, section 4.1).

python -m examples.lineage.pondernet_parity
"""

from examples.lineage.parity import tell

if __name__ == "__main__":
    tell("pondernet")
