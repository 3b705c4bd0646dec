"""``import caffe``, answered by this package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME, OURS = "caffe", "caffe_compat"


def install_as_caffe() -> None:
    """Make ``import caffe`` and imports of its submodules give this package, in this process, from now on.

    A Caffe that has been imported before stays with those who hold it.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    if sys.modules.get(NAME) is not sys.modules[OURS]:
        for name in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
            del sys.modules[name]
        sys.modules[NAME] = sys.modules[OURS]


class _Finder(MetaPathFinder, Loader):
    """Finds ``caffe.X`` as ``caffe_compat.X``: the same module under a second name, not a second copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{NAME}."):
            return None
        ours = OURS + fullname.removeprefix(NAME)
        return ModuleSpec(fullname, self) if importlib.util.find_spec(ours) else None

    def exec_module(self, module: ModuleType) -> None:
        """Put our module in the place of the empty one that was made for it."""
        sys.modules[module.__name__] = importlib.import_module(OURS + module.__name__.removeprefix(NAME))
