"""What data sets and agents on the Hugging Face hub share: the prefix of their names, the library, and one refusal."""

from __future__ import annotations

from typing import Any

from hrm_gym.errors import HrmGymError, extra, first_line

HUB = "hf:"
"""What the name of anything on the hub begins with."""


def hub_library(what: str) -> Any:
    """The hub's own library, which is an extra that `what` needs."""
    return extra("huggingface_hub", "hub", what)


def not_downloaded(source: str, error: Exception) -> HrmGymError:
    """The error for a download that failed; the library's many kinds share no base class."""
    return HrmGymError(f"cannot download {source} ({first_line(error)}): is the name right, and the hub in reach?")
