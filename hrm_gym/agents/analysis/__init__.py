"""Analyses of trained agents, one file each, with figures, a paragraph and a plot.

    import hrm_gym

    for finding in hrm_gym.analyze("Sudoku6x6-v0", what=["participation", "depth"]):
        print(finding.text)
        finding.plot().savefig(f"{finding.analysis.name}.png")

`ANALYSES` lists all analyses by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hrm_gym.agents.analysis import (
    completion,
    convergence,
    depth,
    fixed_points,
    interventions,
    participation,
    stopping,
    trajectories,
)
from hrm_gym.agents.analysis.finding import Analysis, Finding
from hrm_gym.agents.analysis.subject import Settings, Subject, Unsuited, open_subject
from hrm_gym.errors import unknown
from hrm_gym.version import __version__

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

ANALYSES: dict[str, Analysis] = {
    module.ANALYSIS.name: module.ANALYSIS
    for module in (
        participation,
        convergence,
        trajectories,
        depth,
        stopping,
        completion,
        fixed_points,
        interventions,
    )
}
"""All analyses by name, in the order of the report."""


def analyses_of(names: Sequence[str]) -> list[Analysis]:
    """The analyses with these names; all if there are none.

    Raises:
        HrmGymError: on an unknown name.
    """
    for name in names:
        if name not in ANALYSES:
            raise unknown("analysis", name, ANALYSES)
    return [analysis for name, analysis in ANALYSES.items() if not names or name in names]


def findings(
    subject: Subject, chosen: Sequence[Analysis], conditions: Mapping[str, object] | None = None
) -> Iterator[Finding | tuple[Analysis, str]]:
    """The finding of each analysis in turn, or the analysis and the reason if it does not suit the agent."""
    shown = {
        "env": subject.env,
        "agent": subject.policy.name,
        "parameters": subject.policy.num_parameters,
        "puzzles": len(subject.puzzles.puzzle),
        "trained_segments": subject.trained_segments,
        "max_segments": subject.max_segments,
        "settings": subject.settings.to_dict(),
        "device": str(subject.policy.device),
        "hrm-gym": __version__,
        **(conditions or {}),
    }
    for analysis in chosen:
        try:
            figures = analysis.measure(subject)
        except Unsuited as reason:
            yield analysis, str(reason)
            continue
        yield Finding(analysis, shown, figures, analysis.describe(figures))
