"""The contenders for scores of a database's images, each for a process of its own.

All read the same database, crop, and take off the same mean. What they need is imported in their processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

BATCH = 50  # of the TEST phase
AHEAD = 8  # batches that a data layer may be ahead at the most


@dataclass(frozen=True)
class Case:
    """A net with weights from its fillers, exported, and a database of so many images, whose ``source`` is in words.

    ``nothing``: an ONNX model without a net in it.
    """

    source: str
    prototxt: Path
    weights: Path
    onnx: Path
    nothing: Path
    db: Path
    mean: Path
    crop: int
    images: int


def ours(case: Case) -> Callable[[], float]:
    """The net as `yosinski test` runs it."""
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2

    net = Net(case.prototxt, caffe_pb2.TEST, weights=case.weights)
    return lambda: forward(net, case.images)


def ours_reading(case: Case) -> Callable[[], float]:
    """Its data layer alone."""
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2, filter_net, read_net

    definition = filter_net(read_net(case.prototxt), caffe_pb2.NetState(phase=caffe_pb2.TEST))
    del definition.layer[1:]
    net = Net(definition, caffe_pb2.TEST)

    def run() -> float:
        forward(net, AHEAD * BATCH)  # what may have been read between rounds
        return forward(net, case.images)

    return run


def forward(net: Any, images: int) -> float:
    began = perf_counter()
    for _ in range(images // BATCH):
        net.forward_layers()
    return perf_counter() - began


def onnxruntime(case: Case, threads: int) -> Callable[[], float]:
    """ONNX Runtime in Python, batch after batch as they are read."""
    import onnxruntime as ort

    from yosinski.deployment import read_deployment
    from yosinski.images import Images

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(case.onnx), options, providers=["CPUExecutionProvider"])
    transform = read_deployment(case.prototxt).transform

    def run() -> float:
        with Images(case.db, transform, BATCH) as images:
            began = perf_counter()
            for batch in images:
                session.run(["prob"], {"data": batch.data})
            return perf_counter() - began

    return run


def onnx_check(case: Case, model: Path, threads: int, program: Path) -> Callable[[], float]:
    """The C++ checker, by its own clock: from the first record to the last score."""
    from yosinski.onnx_check import run_checker

    def run() -> float:
        report = run_checker(
            model, case.db, mean=case.mean, crop=case.crop, batch=BATCH, threads=threads, dump=False, program=program
        )
        return float(report["total_s"])

    return run
