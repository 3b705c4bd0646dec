"""Files that travel with the package: from a checkout they lie at its top, from a wheel inside `yosinski`."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.parent


def prototxt_dir() -> Path:
    """The folder of the study's net definitions; ``mini/`` in it holds the small ones."""
    return first_folder(PACKAGE / "prototxt", CHECKOUT / "prototxt")


def onnx_check_dir() -> Path:
    """The folder of the C++ checker's source."""
    return first_folder(PACKAGE / "_onnx_check", CHECKOUT / "tools" / "onnx_check")


def first_folder(installed: Path, checkout: Path) -> Path:
    return installed if installed.is_dir() else checkout


def find_prototxt(name: Path) -> Path:
    """The file of that name; where there is none, the packaged definition that the name stands for.

    ``prototxt/mini/base_A.prototxt``, ``mini/base_A.prototxt`` and ``mini/base_A`` all name the same packaged file.
    A name that stands for nothing is returned as it is, for the reader to complain about.
    """
    if name.exists() or name.is_absolute():
        return name
    inside = name.relative_to("prototxt") if name.parts[0] == "prototxt" else name
    packaged = prototxt_dir() / inside.with_name(inside.name.removesuffix(".prototxt") + ".prototxt")
    return packaged if packaged.is_file() else name
