"""Training from a database on disk, end to end: `yosinski train`'s own path, and the loop that one would write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from yosinski.bench.comparison import Comparison, Progress, Ratio, Run, fastest, interleave, waiting
from yosinski.bench.plain import PlainCaffeNet, PlainLoop
from yosinski.bench.plain_data import LmdbImages, batches
from yosinski.caffenet import MINI
from yosinski.resources import prototxt_dir

WORKERS = (0, 2)  # processes beside the main one that read for plain torch
GOAL = 1.4
CPU = torch.device("cpu")


def measure(
    rounds: int = 7, iterations: int = 150, device: torch.device = CPU, progress: Progress | None = None
) -> Iterator[Comparison]:
    """Train the demo's net on the demo's images; the plain loop with its data read by itself, or by other processes.

    Args:
        iterations: of a round; enough for what was read ahead between rounds not to count.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="yosinski-bench-")))
        solver = stack.enter_context(mini_solver(folder / "ours", device))
        loops = {f"plain torch, {n} workers": plain_loop(folder / f"{n}", n, device) for n in WORKERS}
        runs: dict[str, Run] = {"ours": partial(solver.step, iterations)}
        runs |= {name: partial(loop.step, iterations) for name, loop in loops.items()}
        samples = interleave("training", runs, rounds, progress=progress, wait=waiting(device))
        losses = {"ours": solver.smoothed.value, "plain torch": max(loop.step(1) for loop in loops.values())}
    yield Comparison(
        "train/mini",
        f"mini net from LMDB, {iterations} iterations of {MINI.train_batch} images a round",
        samples,
        work=iterations * MINI.train_batch,
        ratios=(Ratio(fastest(samples, "plain torch"), "ours", goal=GOAL, title="plain torch / ours"),),
        facts={f"loss, {name}": loss for name, loss in losses.items()},
    )


@contextmanager
def mini_solver(folder: Path, device: torch.device) -> Iterator[Any]:
    """The solver as `yosinski train mini/base_A` makes it, but for tests and snapshots, over data in ``folder``."""
    from caffe_compat.layers.prefetching import PrefetchingLayer
    from caffe_compat.net import Net
    from caffe_compat.proto import read_net, read_solver
    from caffe_compat.solver import Solver
    from yosinski.demo_data import write_demo_data

    write_demo_data(folder)
    net, param = read_net(prototxt_dir() / "mini/base_A.prototxt"), read_solver(prototxt_dir() / "mini/solver.prototxt")
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = str(folder / Path(layer.data_param.source).name)
            layer.transform_param.mean_file = str(folder / Path(layer.transform_param.mean_file).name)
    for name in ("net", "test_iter", "test_interval", "snapshot"):
        param.ClearField(name)
    param.net_param.CopyFrom(net)
    solver = Solver(param, net_class=Net, device=device, exact=True)
    try:
        yield solver
    finally:
        for layer in solver.net.layers:
            if isinstance(layer, PrefetchingLayer):
                layer.close()


def plain_loop(folder: Path, workers: int, device: torch.device) -> PlainLoop:
    """The plain loop with the same solver's numbers, over data of its own: lmdb opens a database once in a process."""
    from caffe_compat.proto import read_solver
    from yosinski.demo_data import write_demo_data

    write_demo_data(folder)
    param = read_solver(prototxt_dir() / "mini/solver.prototxt")
    images = LmdbImages(folder / "A_train_lmdb", folder / "A_mean.binaryproto", MINI.crop)
    loader = batches(images, MINI.train_batch, workers, pinned=device.type == "cuda")
    return PlainLoop(PlainCaffeNet(MINI).to(device), loader, param.base_lr, param.weight_decay, param.stepsize)
