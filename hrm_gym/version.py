"""The version of the installed package."""

from importlib import metadata

try:
    __version__ = metadata.version("hrm-gym")
except metadata.PackageNotFoundError:  # The package is not installed.
    __version__ = "0.0.0"
