"""Four nets trained together against the same four one after the other: what a shared stream of data saves."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from yosinski.bench.comparison import Comparison, Progress, Ratio, interleave, waiting
from yosinski.networks import NetSpec
from yosinski.scales import SCALES

NETS = 4
GOAL, NEVER_SLOWER = 1.5, 1.0
SIDE, CROP, IMAGES, BATCH = 256, 227, 512, 64  # of the pictures, as the study has them
CPU = torch.device("cpu")
ALONE, TOGETHER = "one after the other", "together"

# Hardly any work for the net.
SMALL_NET = """
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { mirror: true crop_size: %d mean_value: 128 }
  data_param { source: "%s" batch_size: %d backend: LMDB } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 32 stride: 32 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SMALL_SOLVER = 'base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 solver_mode: CPU'


def measure(
    rounds: int = 5, iterations: int = 30, device: torch.device = CPU, progress: Progress | None = None
) -> Iterator[Comparison]:
    """Four nets where data take most of the time, where the nets do, and where these share frozen layers.

    Args:
        iterations: of each net in a round; enough for what was read ahead between rounds not to count.
    """
    with TemporaryDirectory(prefix="yosinski-bench-") as folder:
        yield from _pictures(Path(folder), rounds, iterations, device, progress)
        yield from _mini_nets(Path(folder, "mini"), rounds, iterations, device, progress)


def _pictures(
    folder: Path, rounds: int, iterations: int, device: torch.device, progress: Progress | None
) -> Iterator[Comparison]:
    for kind in ("raw", "JPEG"):
        source = folder / kind
        _write_pictures(source, kind == "JPEG")
        solvers = [_solver(SMALL_NET % (CROP, source, BATCH), SMALL_SOLVER, seed) for seed in range(NETS)]
        cases: list[tuple[str, str, list[int | None], float]] = [("", "the same data seed", [1] * NETS, GOAL)]
        if kind == "JPEG":
            cases.append(("-own-seeds", "data seeds of their own", [None] * NETS, NEVER_SLOWER))
        for name, title, seeds, goal in cases:
            yield _compare(
                f"study/{kind.lower()}{name}",
                f"{NETS} tiny nets on {kind} records of {SIDE}x{SIDE}, {title}",
                _Contest(solvers, seeds, device),
                (rounds, iterations, BATCH, goal, progress),
            )


def _mini_nets(
    folder: Path, rounds: int, iterations: int, device: torch.device, progress: Progress | None
) -> Iterator[Comparison]:
    from yosinski.demo_data import write_demo_data

    write_demo_data(folder)
    scale = replace(SCALES["mini"], data=str(folder))
    base = NetSpec("base", base="A", target="A")
    frozen = [NetSpec("transfer", base="A", n=n, target="B") for n in (7, 6, 5, 4)]
    for name, title, specs in (
        ("base", "mini nets that learn all their layers", [base] * NETS),
        ("frozen", "mini nets with 4 to 7 frozen layers in common", frozen),
    ):
        solvers = [_solver(spec.definition(scale), spec.solver(scale), 1) for spec in specs]
        yield _compare(
            f"study/{name}",
            f"{NETS} {title}, the same data seed",
            _Contest(solvers, [1] * NETS, device),
            (rounds, iterations, 64, NEVER_SLOWER, progress),
        )


def _compare(
    name: str, title: str, contest: _Contest, terms: tuple[int, int, int, float, Progress | None]
) -> Comparison:
    rounds, iterations, batch, goal, progress = terms
    with contest.begun() as (alone, together):
        runs = {ALONE: lambda: alone(iterations), TOGETHER: lambda: together(iterations)}
        samples = interleave(title, runs, rounds, progress=progress, wait=waiting(contest.device))
    work = NETS * iterations * batch
    return Comparison(name, title, samples, work=work, ratios=(Ratio(ALONE, TOGETHER, goal=goal),))


class _Contest:
    """The same nets twice.

    Args:
        solvers: SolverParameters.
        data_seeds: of each net.
    """

    def __init__(self, solvers: Sequence[Any], data_seeds: Sequence[int | None], device: torch.device) -> None:
        self.solvers, self.data_seeds, self.device = solvers, data_seeds, device

    @contextmanager
    def begun(self) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
        """Two functions that train all nets for a number of iterations: one after the other, and in turn."""
        from caffe_compat.data import stream
        from caffe_compat.net import Net
        from caffe_compat.trunk import Trunk, TrunkNet

        trunk: Trunk = {}

        def shared_net(param: Any, source: str = "") -> Net:
            return TrunkNet(param, trunk, source)

        with ExitStack() as stack:
            alone = [self._build(i, Net, stack) for i in range(NETS)]
            with stream.shared():
                together = [self._build(i, shared_net, stack) for i in range(NETS)]

            def one_after_the_other(iterations: int) -> None:
                for context, solver in alone:
                    context.run(solver.step, iterations)

            def in_turn(iterations: int) -> None:
                going = [(context, solver.stepping(iterations)) for context, solver in together]
                for _ in range(iterations):
                    for context, steps in going:
                        context.run(next, steps)

            yield one_after_the_other, in_turn

    def _build(self, i: int, net_class: Callable[..., Any], stack: ExitStack) -> tuple[contextvars.Context, Any]:
        from caffe_compat import rng
        from caffe_compat.solver import Solver

        context = contextvars.copy_context()
        context.run(rng.set_data_seed, self.data_seeds[i])
        solver = context.run(Solver, self.solvers[i], net_class, self.device)
        stack.callback(solver.close)
        return context, solver


def _solver(net: str, solver: str, seed: int) -> Any:
    """A SolverParameter without tests and snapshots."""
    from caffe_compat.proto import caffe_pb2, text

    param = text.parse(solver, caffe_pb2.SolverParameter, source="solver")
    for field in ("net", "test_iter", "test_interval", "snapshot", "display"):
        param.ClearField(field)
    param.random_seed = seed
    param.net_param.CopyFrom(text.parse(net, caffe_pb2.NetParameter, source="net"))
    return param


def _write_pictures(path: Path, encoded: bool) -> None:
    """A database of smooth noise, which as JPEG is about as large as photographs are."""
    import cv2

    from caffe_compat.data.db import create_db
    from caffe_compat.proto import caffe_pb2

    random = np.random.default_rng(1)
    with create_db(path, "lmdb") as db:
        for i in range(IMAGES):
            pixels = cv2.resize(random.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8), (SIDE, SIDE))
            datum = caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, label=i % 10)
            if encoded:
                datum.data, datum.encoded = cv2.imencode(".jpg", pixels)[1].tobytes(), True
            else:
                datum.data = pixels.transpose(2, 0, 1).tobytes()
            db.put(f"{i:08d}".encode(), datum.SerializeToString())
