"""Training from a database on disk, end to end: `yosinski train`'s own path, and the loop that one would write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from caffe_compat import precision as precisions
from caffe_compat.cores import cores
from caffe_compat.proto import read_solver
from yosinski.bench import databases
from yosinski.bench.comparison import Comparison, Progress, Ratio, Run, fastest, interleave, waiting
from yosinski.bench.nets import FULL, MINI, Images, Size, build_solver
from yosinski.bench.plain import PlainCaffeNet, PlainLoop, forever
from yosinski.bench.plain_data import LmdbImages, batches
from yosinski.resources import prototxt_dir

PRECISIONS = {"cpu": ("fp32",), "cuda": ("fp32", "tf32", "bf16")}
ITERATIONS = {("mini", "cpu"): 150, ("full", "cpu"): 2, ("mini", "cuda"): 300, ("full", "cuda"): 40}
GOAL = {("mini", "cpu"): 1.4, ("full", "cuda"): 2.0}  # plain torch / ours
DATA_GOAL = {("full", "cuda"): 0.9}  # ours without data / ours
REST_S = 0.5
CPU = torch.device("cpu")


def measure(
    sizes: Sequence[Size] = (MINI, FULL),
    rounds: int = 7,
    iterations: int | None = None,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> Iterator[Comparison]:
    """Train a net of each size. ``iterations``: of a round; enough for what was read between rounds not to count."""
    for size in sizes:
        yield compare(size, rounds, iterations or ITERATIONS[size.name, device.type], device, progress)


def compare(
    size: Size, rounds: int, iterations: int, device: torch.device, progress: Progress | None = None
) -> Comparison:
    """Ours with its data and with none, and the plain loop with its data read by itself, or by other processes.

    On a GPU in each precision, plain torch in bf16 by autocast, and ours also as a CUDA graph.
    """
    case = size.name, device.type
    batch = size.images(device)
    ratios: list[Ratio] = []
    with ExitStack() as stack:
        images = databases.write(size, Path(stack.enter_context(TemporaryDirectory(prefix="yosinski-bench-"))))
        readers = {workers: forever(loader(size, images, batch, workers, device)) for workers in worker_counts(device)}
        solvers: dict[str, Any] = {}
        loops: dict[str, PlainLoop] = {}
        names = {name: "" if device.type == "cpu" else f", {name}" for name in PRECISIONS[device.type]}
        for precision, suffix in names.items():
            with precisions.use(precision):
                solvers[f"ours{suffix}"] = build_solver(size, size.base, batch, device, images)
                solvers[f"ours{suffix}, without data"] = build_solver(size, size.base, batch, device)
                if device.type == "cuda":
                    solvers[f"ours{suffix}, graphs"] = build_solver(size, size.base, batch, device, images, graphs=True)
            for workers, reader in readers.items():
                loops[f"plain torch{suffix}, {workers} workers"] = plain_loop(size, reader, device, precision)
        for solver in solvers.values():
            stack.callback(solver.close)
        runs: dict[str, Run] = {name: partial(solver.step, iterations) for name, solver in solvers.items()}
        runs |= {name: partial(loop.step, iterations) for name, loop in loops.items()}
        samples = interleave(
            f"{size.title}, training",
            runs,
            rounds,
            settle=size is FULL,
            rest=REST_S,
            progress=progress,
            wait=waiting(device),
        )
        facts = {f"loss, {name}": solver.smoothed.value for name, solver in solvers.items()}
        facts |= {f"loss, {name}": loop.step(1) for name, loop in loops.items()}
    for suffix in names.values():
        ours, plain = f"ours{suffix}", fastest(samples, f"plain torch{suffix}")
        ratios.append(Ratio(plain, ours, goal=GOAL.get(case), title=f"plain torch{suffix} / {ours}"))
        ratios.append(Ratio(f"{ours}, without data", ours, goal=DATA_GOAL.get(case)))
    return Comparison(
        f"train/{size.name}",
        f"{size.title} from LMDB, {iterations} iterations of {batch} images a round",
        samples,
        work=iterations * batch,
        ratios=tuple(ratios),
        facts=facts,
    )


def worker_counts(device: torch.device) -> tuple[int, ...]:
    """How many processes beside the main one read for plain torch; the better counts."""
    return (0, 2) if device.type == "cpu" else (cores(),)


def loader(size: Size, images: Images, batch: int, workers: int, device: torch.device) -> Any:
    """A DataLoader over a copy of the images."""
    own = databases.copied(images)
    return batches(LmdbImages(own.db, own.mean, size.net.crop), batch, workers, pinned=device.type == "cuda")


def plain_loop(size: Size, reader: Iterator[Any], device: torch.device, precision: str) -> PlainLoop:
    """The plain loop with the numbers of the same solver."""
    param = read_solver(prototxt_dir() / f"{size.solver}.prototxt")
    net = PlainCaffeNet(size.net).to(device)
    return PlainLoop(net, reader, param.base_lr, param.weight_decay, param.stepsize, precision)
