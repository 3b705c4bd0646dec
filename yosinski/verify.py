"""The same images through PyTorch, ONNX Runtime and the C++ checker: do they agree?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from yosinski.deployment import read_deployment
from yosinski.runtimes import OnnxRuntime, Runtime, Scores, Torch
from yosinski.verify_report import Answers, VerifyReport

RUNTIMES = ("torch", "onnxruntime", "onnx_check")
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-4}  # of probabilities, in float32 without TF32

Progress = Callable[[int, int], None]  # called with the images done and their total


def verify(
    onnx_path: Path,
    db_path: Path,
    *,
    prototxt: Path,
    weights: Sequence[Path],
    mean: Path | None = None,
    runtimes: Sequence[str] = RUNTIMES,
    limit: int | None = None,
    batch: int = 64,
    device: str = "cpu",
    progress: Progress | None = None,
) -> VerifyReport:
    """Run the images of a Caffe database through several runtimes and compare what they say.

    torch and onnxruntime get the same images, transformed as ``prototxt`` and ``mean`` say. onnx_check, in C++, reads
    the database itself and transforms as the ONNX file's metadata say, so it judges these as well.

    Args:
        onnx_path: the exported model; its output ``prob``, or else its first, is compared.
        db_path: an LMDB or LevelDB of labelled images (the C++ checker reads LMDB only).
        prototxt: the definition that was exported, for training and testing or for use.
        weights: the weights files that were exported.
        mean: a mean file in place of the definition's mean.
        runtimes: which of ``RUNTIMES`` to compare; the first is what the others are held against.
        limit: the first so many images only.
        batch: images at a time.
        device: cpu or cuda:N, for all runtimes; on CUDA without TF32.
        progress: told how many images torch and onnxruntime have seen.

    Raises:
        CaffeError: a file is missing or damaged, or the model does not take these images.
    """
    unknown = [name for name in runtimes if name not in RUNTIMES]
    if unknown or not runtimes:
        raise CaffeError(f"runtime {', '.join(unknown) or 'missing'}: expected some of {', '.join(RUNTIMES)}")
    if not onnx_path.is_file():
        raise CaffeError(f"{onnx_path}: no such ONNX file; yosinski export writes one")
    deployment = read_deployment(prototxt, mean)
    session = OnnxRuntime(onnx_path, device if "onnxruntime" in runtimes else "cpu")
    here: list[Runtime] = []
    if "torch" in runtimes:
        here.append(Torch(deployment.load(weights), session.output, device))
    if "onnxruntime" in runtimes:
        here.append(session)
    with _Images(db_path, deployment.transform, batch, limit) as images:
        session.check_input(images.shape)
        labels, scores = _run(here, images, progress)
        count = images.count
    answers = {
        runtime.name: Answers(runtime.version, scores[runtime.name], count / max(runtime.seconds, 1e-9))
        for runtime in here
    }
    failures: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    if "onnx_check" in runtimes:
        from yosinski.onnx_check import OnnxCheckUnavailable, run_checker

        try:
            answers["onnx_check"] = _answers_of(
                run_checker(
                    onnx_path,
                    db_path,
                    mean=deployment.transform.mean_file or None,
                    output_name=session.output,
                    batch=batch,
                    limit=limit,
                    provider=device.partition(":")[0],
                )
            )
        except OnnxCheckUnavailable as error:
            unavailable["onnx_check"] = str(error)
        except CaffeError as error:
            failures["onnx_check"] = str(error)
    ordered = {name: answers[name] for name in dict.fromkeys(runtimes) if name in answers}
    tolerance = TOLERANCE[device.partition(":")[0]]
    return VerifyReport(onnx_path, db_path, tolerance, labels, ordered, failures, unavailable)


def _run(
    runtimes: Sequence[Runtime], images: _Images, progress: Progress | None
) -> tuple[NDArray[np.int64], dict[str, Scores]]:
    """Labels, and the scores of each runtime."""
    labels: list[NDArray[np.int64]] = []
    scores: dict[str, list[Scores]] = {runtime.name: [] for runtime in runtimes}
    done = 0
    for data, label in images:
        labels.append(label)
        for runtime in runtimes:
            scores[runtime.name].append(runtime.run(data))
        done += len(label)
        if progress:
            progress(done, images.count)
    return np.concatenate(labels), {name: np.concatenate(parts) for name, parts in scores.items()}


def _answers_of(report: dict[str, Any]) -> Answers:
    """The C++ checker's answers; accuracies and loss are its own."""
    return Answers(
        str(report["ort_version"]),
        report["outputs"].reshape(report["images"], -1),
        report["images_per_second"],
        judged={"top1": report["top1"], "top5": report["top5"], "log_loss": report["mean_log_loss"]},
    )


class _Images:
    """The images of a database, once, in key order: batches of float32 images and int64 labels."""

    def __init__(self, path: Path, transform: Any, batch: int, limit: int | None) -> None:
        from caffe_compat.data.db import open_db
        from caffe_compat.data.reader import Reader
        from caffe_compat.data.transform import Transformer

        db = open_db(path)
        self.count = min(len(db), limit or len(db))
        self._reader = Reader(db, Transformer(transform, caffe_pb2.TEST), max(1, min(batch, self.count)))
        try:
            self.shape = self._reader.first_shape()
        except CaffeError:
            self._reader.close()
            raise

    def __enter__(self) -> _Images:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        left = self.count
        while left > 0:
            batch = self._reader.read()  # the last one begins anew at the first image
            yield batch.data.numpy()[:left], batch.label.numpy()[:left].astype(np.int64)
            left -= len(batch.label)
