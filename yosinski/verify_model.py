"""Verification of a net as the command line names it: exports it first, and finds its validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.model import find_model
from yosinski.verify_report import VerifyReport


def verify_model(
    model: Path,
    weights: str | None = None,
    db: Path | None = None,
    mean: Path | None = None,
    *,
    level: int = 0,
    stage: Sequence[str] = (),
    **options: Any,
) -> VerifyReport:
    """Export a net, unless its ONNX file is given, and compare its runtimes on a database.

    Args:
        model: a run directory, a prototxt with ``weights``, or an ONNX file that lies beside its weights in a run
            directory.
        weights: weights files or run directories, separated by commas; by default the run's newest.
        db: an LMDB or LevelDB; by default the one that the definition's TEST phase reads.
        mean: a mean file in place of the definition's.
        level, stage: which of the definition's layers are meant, as in ``read_deployment``.
        options: those of ``yosinski.verify.verify``.

    Raises:
        CaffeError: something is missing or damaged.
    """
    from yosinski.export import export_run
    from yosinski.verify import verify

    if model.suffix == ".onnx":
        onnx = model
        prototxt, files = find_model(onnx.parent, weights or str(weights_beside(onnx)))
    else:
        prototxt, files = find_model(model, weights)
        onnx = export_run(model, weights, mean, level=level, stage=stage).onnx
    db = db or test_database(prototxt, level, stage)
    return verify(onnx, db, prototxt=prototxt, weights=files, mean=mean, level=level, stage=stage, **options)


def weights_beside(onnx: Path) -> Path:
    """The weights that an ONNX file in a run directory was made from."""
    for suffix in (".caffemodel", ".caffemodel.h5"):
        weights = onnx.with_suffix(suffix)
        if weights.is_file():
            return weights
    raise CaffeError(
        f"{onnx}: no {onnx.stem}.caffemodel beside it to compare with; name the run or the prototxt instead"
    )


def test_database(prototxt: Path, level: int, stage: Sequence[str]) -> Path:
    """The database that a definition's TEST phase reads. CaffeError if there is none."""
    from caffe_compat.export.deploy import layers_in_test
    from yosinski.deployment import read_in_state

    for layer in layers_in_test(read_in_state(prototxt, level, stage)):
        if layer.type == "Data":
            return Path(layer.data_param.source)
    raise CaffeError(f"{prototxt}: its TEST phase reads no database; --db names one")
