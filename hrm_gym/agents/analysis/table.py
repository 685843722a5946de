"""All analyses by name, and their findings about an agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

from hrm_gym.agents.analysis.finding import Analysis, Finding
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.settings import TITLES, check_names
from hrm_gym.agents.analysis.subject import Subject
from hrm_gym.version import __version__

ANALYSES: dict[str, Analysis] = {name: import_module(f"{__package__}.{name}").ANALYSIS for name in TITLES}
"""All analyses by name, in the order of the report."""


def analyses_of(names: Sequence[str]) -> list[Analysis]:
    """The analyses with these names; all if there are none.

    Raises:
        HrmGymError: on an unknown name.
    """
    check_names(names)
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
