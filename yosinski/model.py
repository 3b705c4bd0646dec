"""A trained net as the command line names it: a run directory, or a definition with a weights file."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.errors import CaffeError
from yosinski.resources import find_prototxt
from yosinski.run_dir import RunDir


def find_model(model: Path, weights: str | None) -> tuple[Path, list[Path]]:
    """The definition and the weights files that MODEL and --weights stand for.

    Args:
        model: a prototxt, the name of a packaged one, or a run directory, which brings its newest weights along.
        weights: what --weights says: weights files or run directories, separated by commas.

    Raises:
        CaffeError: one of them is not there.
    """
    if not (model.is_dir() and RunDir(model).net.exists()):
        prototxt = find_prototxt(model)
        if not prototxt.is_file():
            raise CaffeError(f"{model}: neither a run directory nor a definition")
        return prototxt, find_weights(weights)
    run = RunDir(model)
    if weights is not None:
        return run.net, find_weights(weights)
    newest = run.newest_weights()
    return run.net, [newest] if newest else []


def find_weights(weights: str | None) -> list[Path]:
    """The files of a --weights list; a run directory stands for its newest snapshot. CaffeError for a missing one."""
    found = []
    for name in (weights or "").split(","):
        if not name.strip():
            continue
        path = Path(name.strip())
        newest = RunDir(path).newest_weights() if path.is_dir() else path
        if newest is None:
            raise CaffeError(f"--weights {path}: no snapshot in this run directory yet")
        if not newest.is_file():
            raise CaffeError(f"--weights {path}: no such file")
        found.append(newest)
    return found
