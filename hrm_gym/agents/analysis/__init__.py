"""Analyses of trained agents, one file each, with figures, a paragraph and a plot.

    import hrm_gym

    for finding in hrm_gym.analyze("Sudoku6x6-v0", what=["participation", "depth"]):
        print(finding.text)
        finding.plot().savefig(f"{finding.analysis.name}.png")

`ANALYSES` lists all analyses by name. Names are loaded on first use, because they import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrm_gym.agents.analysis.settings import Settings
from hrm_gym.linked import on_first_use

__all__ = [
    "ANALYSES",
    "Analysis",
    "Finding",
    "Settings",
    "Subject",
    "Unsuited",
    "analyses_of",
    "findings",
    "open_subject",
]

if TYPE_CHECKING:
    from hrm_gym.agents.analysis.finding import Analysis, Finding
    from hrm_gym.agents.analysis.recording import Unsuited
    from hrm_gym.agents.analysis.subject import Subject, open_subject
    from hrm_gym.agents.analysis.table import ANALYSES, analyses_of, findings
else:
    _MODULES = {
        **dict.fromkeys(("Analysis", "Finding"), "finding"),
        "Unsuited": "recording",
        **dict.fromkeys(("Subject", "open_subject"), "subject"),
        **dict.fromkeys(("ANALYSES", "analyses_of", "findings"), "table"),
    }
    __getattr__ = on_first_use("hrm_gym.agents.analysis", _MODULES)
