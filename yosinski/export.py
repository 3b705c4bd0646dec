"""A trained net as files that other programs read: an ONNX model and a deploy prototxt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe_compat.atomic import write_text
from caffe_compat.errors import CaffeError
from yosinski.deployment import Deployment, read_deployment
from yosinski.model import find_model
from yosinski.provenance import describe_file
from yosinski.run_dir import RunDir, snapshot_iteration

if TYPE_CHECKING:
    from yosinski.precision import PrecisionReport

CHANNEL_ORDERS = {1: "GRAY", 3: "BGR"}
PRECISIONS = {"fp32": "float32", "fp16": "float16"}


@dataclass(frozen=True)
class Exported:
    """Where the files are. ``deploy`` is the source itself where that was for use already.

    ``precision``: what half precision costs, if it was asked for.
    """

    onnx: Path
    deploy: Path
    precision: PrecisionReport | None = None


def export_run(
    model: Path,
    weights: str | None = None,
    mean: Path | None = None,
    out: Path | None = None,
    *,
    input_shape: Sequence[int] | None = None,
    outputs: Sequence[str] | None = None,
    with_preprocessing: bool = False,
    image_size: tuple[int, int] | None = None,
    precision: str = "fp32",
    db: Path | None = None,
    level: int = 0,
    stage: Sequence[str] = (),
) -> Exported:
    """Write a trained net as ONNX, and its definition for use.

    Args:
        model: a run directory, or a prototxt (for training and testing, or for use) with ``weights``.
        weights: weights files or run directories, separated by commas; by default the run's newest.
        mean: a mean file in place of the definition's mean.
        out: the ONNX file, or a folder for it; by default it lies beside the weights and has their name. The
            definition goes beside it: ``deploy.prototxt`` in a run directory, elsewhere ``NAME_deploy.prototxt``.
        input_shape, level, stage: as in ``read_deployment``.
        outputs: as in ``to_onnx``.
        with_preprocessing: put crop, mean and scale into the model, which then takes uint8 images as they are stored.
        image_size: height and width of these, where neither a mean file nor a database tells.
        precision: fp32, or fp16 for ``to_half``; what that costs is measured and noted in the metadata.
        db: the database of labelled images to measure it on; by default random pixels.

    Raises:
        CaffeError: something is missing or does not fit together, or a layer has no ONNX form.
    """
    from caffe_compat.export.onnx_export import write_onnx
    from caffe_compat.proto.text import format as format_text

    if precision not in PRECISIONS:
        raise CaffeError(f"precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    prototxt, files = find_model(model, weights)
    if not files:
        raise CaffeError(f"{model}: no weights to export; --weights names them")
    deployment = read_deployment(prototxt, mean, input_shape, level=level, stage=stage)
    image = None
    if with_preprocessing:
        inputs = [shape.dim for layer in deployment.definition.layer for shape in layer.input_param.shape]
        channels = inputs[0][1] if inputs and len(inputs[0]) == 4 else 0  # others are refused below
        image = (channels, *image_size) if image_size else deployment.stored_shape()
    proto = build(deployment, files, outputs, image)
    report = None
    if precision == "fp16":
        proto, report = _halved(proto, deployment, db)
    stem = files[-1].name.removesuffix(".h5").removesuffix(".caffemodel")
    onnx = (out or files[-1].parent) / f"{stem}.onnx"
    if out is not None and out.suffix == ".onnx":
        onnx = out
    write_onnx(proto, onnx)
    if deployment.is_source:
        return Exported(onnx, prototxt, report)
    run = RunDir(onnx.parent)
    deploy = onnx.with_name("deploy.prototxt" if run.net.exists() else f"{onnx.stem}_deploy.prototxt")
    note = f"# {deployment.definition.name}, for use. Written by `yosinski export`.\n"
    write_text(deploy, note + format_text(deployment.definition))
    return Exported(onnx, deploy, report)


def build(
    deployment: Deployment, weights: Sequence[Path], outputs: Sequence[str] | None, image: Sequence[int] | None
) -> Any:
    """The model in float32; ``image``: shape of the images as stored, if preprocessing shall be in the model."""
    from caffe_compat.export.onnx_export import set_metadata, to_onnx
    from caffe_compat.export.preprocessing import add_preprocessing

    net = deployment.load(weights)
    model = to_onnx(net, metadata(deployment, weights, net), outputs)
    if image is not None:
        add_preprocessing(model, deployment.transform, image)
        set_metadata(model, {"preprocessing": "in the model", "image_size": f"{image[1]}x{image[2]}"})
    return model


def _halved(model: Any, deployment: Deployment, db: Path | None) -> tuple[Any, PrecisionReport]:
    """The model in half precision, with the measured loss in its metadata."""
    from caffe_compat.export.half import to_half
    from caffe_compat.export.onnx_export import set_metadata
    from yosinski.precision import measure

    half = to_half(model)
    report = measure(model, half, db, deployment.transform)
    set_metadata(half, {"precision": PRECISIONS["fp16"], **report.metadata})
    return half, report


def metadata(deployment: Deployment, weights: Sequence[Path], net: Any) -> dict[str, object]:
    """What an ONNX file says about itself: by it, the file can be traced to its sources and fed with the right images.

    Hashes are SHA-256 in hexadecimal, lists have commas. ``mean_value`` and ``mean_sha256`` exclude each other, as
    mean values and mean file do in Caffe. Keys without a value (None) are left out of the file.
    """
    transform = deployment.transform
    shapes = [net.blobs[name].shape for name in net.inputs]
    channels = shapes[0][1] if shapes and len(shapes[0]) == 4 else None
    iteration = snapshot_iteration(weights[-1])
    run = RunDir(weights[-1].parent).meta
    files = run.get("files", {})
    return {
        "net": net.name or None,
        "phase": "TEST",
        "prototxt_sha256": describe_file(deployment.source)["sha256"],
        "weights_sha256": ",".join(describe_file(file)["sha256"] for file in weights),
        "iteration": iteration if iteration >= 0 else None,
        "precision": PRECISIONS["fp32"],
        "layout": "NCHW" if channels else None,
        "channel_order": CHANNEL_ORDERS.get(channels) if channels else None,
        "pixel_range": "0..255" if channels else None,
        "preprocessing": "outside the model" if channels else None,
        "crop_size": transform.crop_size or None,
        "scale": transform.scale,
        "mean_sha256": describe_file(Path(transform.mean_file))["sha256"] if transform.mean_file else None,
        "mean_value": ",".join(map(repr, transform.mean_value)) or None,
        "run": run.get("name"),
        "run_seed": run.get("seed"),
        "run_device": run.get("device"),
        "run_git_commit": run.get("git_commit"),
        "solver_sha256": files.get("solver", {}).get("sha256"),
    }
