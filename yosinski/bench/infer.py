"""Scores for all images of a database: this runtime, ONNX Runtime in Python and the C++ checker, on the same cores."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeError
from yosinski.bench.comparison import Comparison, Progress, Ratio, Reported, interleave
from yosinski.bench.nets import FULL, MINI, Size
from yosinski.bench.pinned import Pinned
from yosinski.bench.scoring import BATCH, Case, onnx_check, onnxruntime, ours, ours_reading
from yosinski.onnx_check import OnnxCheckUnavailable, find_or_build
from yosinski.resources import prototxt_dir

IMAGES = {"mini": 10_000, "full": 250}


def measure(
    sizes: Sequence[Size] = (MINI, FULL),
    rounds: int = 5,
    threads: Sequence[int] = (1, 2),
    images: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Comparison]:
    """Compare for each size and number of cores. ``images``: by default 10,000 small or 250 large ones.

    Loading the models does not count; every contender has computed scores before it is timed.
    """
    for size in sizes:
        with TemporaryDirectory(prefix="yosinski-bench-") as folder:
            case = make_case(size, Path(folder), images or IMAGES[size.name])
            for cores in threads:
                yield compare(size, case, cores, rounds, progress)


def compare(size: Size, case: Case, cores: int, rounds: int, progress: Progress | None = None) -> Comparison:
    """All contenders on so many cores, and beside them what reading alone takes."""
    prepared: dict[str, tuple[Any, ...]] = {
        "ours": (ours, case),
        "ours, reading alone": (ours_reading, case),
        "onnxruntime": (onnxruntime, case, cores),
    }
    ratios = [Ratio("onnxruntime", "ours")]
    facts = {"images": case.source}
    try:
        program = find_or_build()
        prepared["onnx_check"] = (onnx_check, case, case.onnx, cores, program)
        prepared["onnx_check, reading alone"] = (onnx_check, case, case.nothing, cores, program)
        ratios.append(Ratio("onnxruntime", "onnx_check", goal=1.0))
    except OnnxCheckUnavailable as error:
        facts["onnx_check"] = str(error)
    with ExitStack() as stack:
        runs = {name: Reported(stack.enter_context(Pinned(cores, *what)).run) for name, what in prepared.items()}
        samples = interleave(f"{size.title}, scores on {cores} core(s)", runs, rounds, progress=progress)
    for name in [name for name in runs if f"{name}, reading alone" in runs]:
        times = statistics.median(samples[name]) / statistics.median(samples[f"{name}, reading alone"])
        facts[f"{name}, reading alone"] = f"{times:.1f} times as fast as with the net"
    return Comparison(
        f"infer/{size.name}-{cores}",
        f"{size.title}, scores of {case.images} images, batches of {BATCH}, on {cores} core{'s' * (cores > 1)}",
        samples,
        work=case.images,
        ratios=tuple(ratios),
        facts=facts,
    )


def make_case(size: Size, folder: Path, images: int) -> Case:
    """Definition, weights, ONNX models and images in ``folder``."""
    from caffe_compat import rng
    from caffe_compat.data.mean import compute_image_mean
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2, read_net
    from caffe_compat.proto.text import format as format_text
    from caffe_compat.weights import save
    from yosinski.bench.databases import write_noise
    from yosinski.export import export_run

    images = max(BATCH, images // BATCH * BATCH)
    prototxt, weights, db = folder / "net.prototxt", folder / "net.caffemodel", folder / "lmdb"
    mean, nothing = folder / "mean.binaryproto", folder / "nothing.onnx"
    source = "noise, 256x256"
    if size is MINI:
        source = write_fashion(db, images)
    else:
        write_noise(db, images)
    compute_image_mean(db, mean)
    definition = read_net(prototxt_dir() / f"{size.base}.prototxt")
    for layer in definition.layer:
        if layer.type == "Data":
            layer.data_param.source, layer.transform_param.mean_file = str(db), str(mean)
            layer.data_param.batch_size = BATCH
    prototxt.write_text(format_text(definition), encoding="utf-8")
    rng.set_random_seed(1)
    save(Net(prototxt, caffe_pb2.TEST), weights)
    exported = export_run(prototxt, str(weights))
    write_nothing(nothing, size)
    return Case(source, prototxt, weights, exported.onnx, nothing, db, mean, size.net.crop, images)


def write_fashion(db: Path, images: int) -> str:
    """The test set of Fashion-MNIST, or the packaged part of it, as often as it takes; says which."""
    from yosinski.demo_data import CLASSES, PACKAGED, Images, find_full, read_part, write_lmdb

    try:
        folder, source = find_full(), "Fashion-MNIST, the test set"
    except CaffeError:
        folder, source = PACKAGED, "Fashion-MNIST, the packaged part of the test set, repeated"
    found = read_part(folder, "valid")
    chosen = np.arange(images) % len(found.labels)
    write_lmdb(db, Images(found.pixels[chosen], found.labels[chosen]), list(range(len(CLASSES))), "valid")
    return source


def write_nothing(path: Path, size: Size) -> None:
    """A model that hands through a few pixels of each image as its scores: with it, a runtime only reads."""
    import onnx
    from onnx import TensorProto, helper

    net = size.net
    classes = net.layers[-1].num_output
    ends = {"start": [0], "end": [classes], "axis": [1]}
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["data"], ["flat"]), helper.make_node("Slice", ["flat", *ends], ["prob"])],
        "nothing",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", net.channels, net.crop, net.crop])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", classes])],
        [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in ends.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
