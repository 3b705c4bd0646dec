"""Runs the C++ checker of ``tools/onnx_check`` and hands back what it found.

The checker reads the ONNX file and the LMDB by itself, so that its figures are a second opinion on this package's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeError
from yosinski.onnx_check_build import OnnxCheckUnavailable, find_or_build

__all__ = ["OnnxCheckUnavailable", "find_or_build", "run_checker", "run_raw"]


def run_checker(
    model: str | os.PathLike[str],
    db: str | os.PathLike[str],
    *,
    mean: str | os.PathLike[str] | None = None,
    mean_value: Sequence[float] = (),
    crop: int | None = None,
    scale: float | None = None,
    input_name: str | None = None,
    output_name: str | None = None,
    force_color: bool = False,
    force_gray: bool = False,
    ignore_metadata: bool = False,
    batch: int = 64,
    threads: int = 0,
    limit: int | None = None,
    provider: str = "cpu",
    dump: bool = True,
    program: Path | None = None,
) -> dict[str, Any]:
    """Judges `model` on every image of the LMDB `db`, with Caffe's TEST transform.

    Returns the program's JSON: ``top1``, ``top5`` (None below five classes), ``mean_log_loss`` (None if the output is
    no probability), ``images``, ``images_per_s``, ``ort_version`` and more; with `dump` also ``outputs``, float32
    of shape images x classes. Crop, scale and mean values default to the model's metadata. `program` is the checker,
    found or built when not given.

    Raises `CaffeError` with the checker's own line, or `OnnxCheckUnavailable`.
    """
    options: dict[str, object | None] = {
        "--model": os.fspath(model),
        "--db": os.fspath(db),
        "--mean": mean,
        "--mean-value": ",".join(map(repr, map(float, mean_value))) or None,
        "--crop": crop,
        "--scale": scale,
        "--input": input_name,
        "--output": output_name,
        "--batch": batch,
        "--threads": threads,
        "--limit": limit,
        "--provider": provider,
    }
    arguments = [str(part) for name, value in options.items() if value is not None for part in (name, value)]
    flags = {"--force-color": force_color, "--force-gray": force_gray, "--ignore-metadata": ignore_metadata}
    arguments += [name for name, wanted in flags.items() if wanted]
    with tempfile.TemporaryDirectory(prefix="onnx_check-") as folder:
        if dump:
            arguments += ["--dump", f"{folder}/outputs.f32"]
        report = _run(arguments, program, provider)
        if dump:
            report["outputs"] = _read_dump(*report.pop("dumps").values())
    return report


def run_raw(
    model: str | os.PathLike[str],
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    *,
    threads: int = 0,
    provider: str = "cpu",
    program: Path | None = None,
) -> dict[str, np.ndarray]:
    """Runs `model` once on `inputs` (of the dtypes that it declares) and returns the named outputs as float32.

    Raises `CaffeError` with the checker's own line, or `OnnxCheckUnavailable`.
    """
    with tempfile.TemporaryDirectory(prefix="onnx_check-") as folder:
        arguments = ["--model", os.fspath(model), "--threads", str(threads), "--provider", provider]
        for i, (name, values) in enumerate(inputs.items()):
            values = np.asarray(values)
            np.ascontiguousarray(values).tofile(f"{folder}/in{i}")
            shape = ":" + "x".join(map(str, values.shape)) if values.shape else ""
            arguments += ["--raw", f"{name}={folder}/in{i}{shape}"]
        for i, name in enumerate(outputs):
            arguments += ["--dump", f"{name}={folder}/out{i}"]
        dumps = _run(arguments, program, provider)["dumps"]
        return {name: _read_dump(dumps[name]) for name in outputs}


def _read_dump(entry: Mapping[str, Any]) -> np.ndarray:
    return np.fromfile(entry["file"], dtype="<f4").reshape(entry["shape"])


def _run(arguments: list[str], program: Path | None, provider: str) -> dict[str, Any]:
    environment = _with_cuda_libraries() if provider == "cuda" else None
    command = [str(program or find_or_build()), *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"onnx_check: ended with code {done.returncode} and no word"]
        raise CaffeError(lines[-1])
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _with_cuda_libraries() -> dict[str, str]:
    """The environment in which the CUDA provider finds the libraries that NVIDIA's wheels bring along."""
    folders = [str(path) for entry in sys.path for path in sorted(Path(entry).glob("nvidia/*/lib"))]
    known = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join([*folders, *([known] if known else [])])}
