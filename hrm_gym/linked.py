"""How the package's modules are reached: names that are loaded on first use, and the links at the repository's root.

The links `envs` and `agents` import the modules of the package, not copies of them: Python takes a file that it reaches
by two names for two modules, each with its own classes and registries.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any


def on_first_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports a module when one of its names is first asked for.

    Args:
        package: the package's full name.
        modules: the module of each name, relative to the package.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return load


class _Same(MetaPathFinder, Loader):
    """Finds the module `hrm_gym.LINK.NAME` for the name `LINK.NAME`."""

    def __init__(self, link: str) -> None:
        self._link = link

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname.startswith(f"{self._link}.") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"hrm_gym.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has replaced the module's own specification by that of the link's name.
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def link(name: str) -> None:
    """Make `import NAME`, and any import below it, give `hrm_gym.NAME`.

    Call it while NAME, a link to that package, is imported.
    """
    sys.meta_path.insert(0, _Same(name))
    sys.modules[name] = importlib.import_module(f"hrm_gym.{name}")
