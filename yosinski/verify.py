"""The same images through PyTorch, ONNX Runtime, the C++ checker and others: do they agree?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from yosinski.deployment import Deployment, read_deployment
from yosinski.images import Images
from yosinski.onnx_model import OnnxModel
from yosinski.runtimes import OnnxRuntime, Runtime, RuntimeUnavailable, Scores, Torch
from yosinski.verify_report import Answers, VerifyReport

CORE = ("torch", "onnxruntime", "onnx_check")
RUNTIMES = (*CORE, "onnx", "openvino", "opencv")  # onnx: its reference evaluator
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-4}  # of probabilities, in float32 without TF32
LOOSER = {"openvino": 1e-4, "opencv": 1e-4}  # their exponentials and sums are made for speed
HALF_TOLERANCE = 2e-2  # float16 keeps 11 bits, so a score of 16 before the softmax may be off by 0.008
OF_BLOBS = 3  # times the tolerance, of a blob's largest value: rounding adds up from layer to layer


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
    per_layer: bool = False,
    progress: Progress | None = None,
    level: int = 0,
    stage: Sequence[str] = (),
) -> VerifyReport:
    """Run the images of a Caffe database through several runtimes and compare what they say.

    All but one get the same images, transformed as ``prototxt`` and ``mean`` say, or, for a model that does this
    itself, as they are stored. onnx_check, in C++, reads the database itself and transforms as the ONNX file says. What
    the file holds and says about itself is held against what prototxt, mean and weights would give.

    Args:
        onnx_path: the exported model; its output ``prob``, or else its first, is compared.
        db_path: an LMDB or LevelDB of labelled images (the C++ checker reads LMDB only).
        prototxt: the definition that was exported, for training and testing or for use.
        weights: the weights files that were exported.
        mean: a mean file in place of the definition's mean.
        runtimes: which of ``RUNTIMES`` to compare; the first is what the others are held against. Those that this
            machine lacks are left out.
        limit: the first so many images only.
        batch: images at a time.
        device: cpu or cuda:N, for torch, onnxruntime and onnx_check; on CUDA without TF32.
        per_layer: compare every blob as well, on the first batch (see ``compare_layers``).
        progress: told how many images have been seen.
        level, stage: those that were exported.

    Raises:
        CaffeError: a file is missing or damaged, or the model does not take these images.
    """
    unknown = [name for name in runtimes if name not in RUNTIMES]
    if unknown or not runtimes:
        raise CaffeError(f"runtime {', '.join(unknown) or 'missing'}: expected some of {', '.join(RUNTIMES)}")
    model = OnnxModel(onnx_path)
    deployment = read_deployment(prototxt, mean, level=level, stage=stage)
    tolerance = HALF_TOLERANCE if model.in_half else TOLERANCE[device.partition(":")[0]]
    report = VerifyReport(onnx_path, db_path, tolerance)
    with Images(db_path, deployment.transform, batch, limit, pixels=model.takes_pixels) as images:
        model.check_images(images)
        here = _start(runtimes, model, deployment, weights, device, report)
        report.labels, scores = _run(here, images, progress)
    answers = {}
    for runtime in here:
        found = scores[runtime.name]
        answers[runtime.name] = Answers(runtime.version, found, len(found) / max(runtime.seconds, 1e-9))
    if "onnx_check" in runtimes:
        _run_checker(model, db_path, deployment, batch, limit, device, answers, report)
    report.compare({name: answers[name] for name in dict.fromkeys(runtimes) if name in answers}, LOOSER)
    _look_inside(model, deployment, weights, db_path, batch, device, per_layer, report)
    return report


def _start(
    names: Sequence[str],
    model: OnnxModel,
    deployment: Deployment,
    weights: Sequence[Path],
    device: str,
    report: VerifyReport,
) -> list[Runtime]:
    """The runtimes that run in this process; what some cannot do goes into the report."""
    from yosinski import more_runtimes

    makers: dict[str, Callable[[], Runtime]] = {
        "torch": lambda: Torch(deployment.load(weights), model.output, device),
        "onnxruntime": lambda: OnnxRuntime(model, device),
        "onnx": lambda: more_runtimes.Reference(model),
        "openvino": lambda: more_runtimes.OpenVino(model),
        "opencv": lambda: more_runtimes.OpenCv(model),
    }
    found = []
    for name in dict.fromkeys(names):
        if name in makers:
            try:
                found.append(makers[name]())
            except RuntimeUnavailable as error:
                report.unavailable[name] = str(error)
    return found


def _run(
    runtimes: Sequence[Runtime], images: Images, progress: Progress | None
) -> tuple[NDArray[np.int64], dict[str, Scores]]:
    """Labels, and the scores of each runtime."""
    labels: list[NDArray[np.int64]] = []
    scores: dict[str, list[Scores]] = {runtime.name: [] for runtime in runtimes}
    done = 0
    for batch in images:
        labels.append(batch.labels)
        for runtime in runtimes:
            wanted = len(batch.labels) if runtime.most is None else max(0, runtime.most - done)
            if wanted:
                scores[runtime.name].append(runtime.run(batch.first(wanted)))
        done += len(batch.labels)
        if progress:
            progress(done, images.count)
    return np.concatenate(labels), {name: np.concatenate(parts) for name, parts in scores.items()}


def _run_checker(
    model: OnnxModel,
    db_path: Path,
    deployment: Deployment,
    batch: int,
    limit: int | None,
    device: str,
    answers: dict[str, Answers],
    report: VerifyReport,
) -> None:
    from yosinski.onnx_check import OnnxCheckUnavailable, run_checker

    transform = deployment.transform
    options: dict[str, Any] = {
        "mean": None if model.takes_pixels else transform.mean_file or None,
        "force_color": transform.force_color,
        "force_gray": transform.force_gray,
        "batch": batch,
        "limit": limit,
        "provider": device.partition(":")[0],
    }
    try:
        found = run_checker(model.path, db_path, output_name=model.output, **options)
    except OnnxCheckUnavailable as error:
        report.unavailable["onnx_check"] = str(error)
    except CaffeError as error:
        report.failures["onnx_check"] = str(error)
    else:
        answers["onnx_check"] = Answers(
            str(found["ort_version"]),
            found["outputs"].reshape(found["images"], -1),
            found["images"] / found["run_s"],  # in the net, as those of the others
            judged={"top1": found["top1"], "top5": found["top5"], "log_loss": found["mean_log_loss"]},
        )


def _look_inside(
    model: OnnxModel,
    deployment: Deployment,
    weights: Sequence[Path],
    db_path: Path,
    batch: int,
    device: str,
    per_layer: bool,
    report: VerifyReport,
) -> None:
    """The file's own content: constants and metadata, and what every layer computes."""
    from yosinski.verify_content import departures
    from yosinski.verify_layers import compare_layers

    report.departures = departures(model, deployment, weights)
    if per_layer:
        with Images(db_path, deployment.transform, batch, batch, pixels=model.takes_pixels) as images:
            (first,) = images
        report.layers = compare_layers(model, deployment.load(weights), first, OF_BLOBS * report.tolerance, device)
