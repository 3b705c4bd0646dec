"""Nets, forward and backward: this runtime, plain torch, real Caffe, and the machine's own matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from yosinski.bench import caffe_time, layers
from yosinski.bench.comparison import LOWER, Comparison, Progress, Ratio, Reported, Run, interleave, waiting
from yosinski.bench.device import measure as measure_device
from yosinski.bench.nets import FULL, MINI, Size, build, build_solver, gflop, noise
from yosinski.bench.plain import PlainCaffeNet

SGEMM_SIZE = {"cpu": 2048, "cuda": 8192}  # large enough for the product to run at its full rate
SGEMM_TIMES = 10  # products in a round, to last about as long as a pass and suffer as much from other processes
CPU = torch.device("cpu")
BOUND_GOAL, FROZEN_GOAL = 1.3, 0.45  # of the full size


def measure(
    sizes: Sequence[Size] = (MINI, FULL),
    rounds: int = 5,
    batch: int | None = None,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> Iterator[Comparison]:
    """All comparisons of nets, one after the other; on a GPU CaffeNet also those of ``device``, in every precision.

    ``batch``: images in a pass, by default the size's.
    """
    for size in sizes:
        images = batch or size.images(device)
        yield passes(size, rounds, images, device, progress)
        yield layers.measure(size, rounds, images, device, progress)
        yield frozen(size, rounds, images, device, progress)
        if device.type == "cuda" and size is FULL:
            yield from measure_device(size, rounds, images, device, progress)


def passes(size: Size, rounds: int, batch: int, device: torch.device, progress: Progress | None = None) -> Comparison:
    """Passes forward and backward against their bound: the net's matrix products at the rate of one large product."""
    side = SGEMM_SIZE[device.type]
    net, plain = build(size, batch, device), PlainCaffeNet(size.net).to(device)
    images, labels = noise(size, batch, device)
    square = torch.randn(side, side, device=device)
    product = torch.empty_like(square)

    def ours() -> None:
        net.clear_param_diffs()
        net.forward_backward()

    def plain_torch() -> None:
        plain.zero_grad()
        nn.functional.cross_entropy(plain(images), labels).backward()

    def products() -> None:
        for _ in range(SGEMM_TIMES):
            torch.mm(square, square, out=product)

    runs: dict[str, Run] = {
        "bound": products,
        "ours": repeated(ours, size.passes),
        "plain torch": repeated(plain_torch, size.passes),
    }
    ratios = [
        Ratio("ours", "bound", LOWER, BOUND_GOAL if size is FULL else None),
        Ratio("plain torch", "bound", LOWER),
        Ratio("plain torch", "ours"),
    ]
    caffe = caffe_time.find() if device.type == "cpu" else None
    if caffe is not None:
        text = caffe_time.definition(size, batch)
        runs["real Caffe"] = Reported(lambda: caffe.seconds(text, size.passes))
        ratios += [Ratio("real Caffe", "bound", LOWER), Ratio("real Caffe", "ours")]
    samples = interleave(
        f"{size.title}, forward and backward",
        runs,
        rounds,
        settle=size is FULL,
        progress=progress,
        wait=waiting(device),
    )
    work = size.passes * gflop(net)
    done = SGEMM_TIMES * 2 * side**3 / 1e9
    samples["bound"] = [took * work / done for took in samples["bound"]]
    median = sorted(samples["bound"])[len(samples["bound"]) // 2]
    return Comparison(
        f"net/{size.name}",
        f"{size.title}, forward and backward, {size.passes} x {batch} images: {work:.1f} GFLOP",
        samples,
        work=size.passes * batch,
        ratios=tuple(ratios),
        facts={
            "sgemm GFLOP/s": work / median,
            "real Caffe": caffe.where if caffe else caffe_time.NOWHERE,
        },
    )


def frozen(size: Size, rounds: int, batch: int, device: torch.device, progress: Progress | None = None) -> Comparison:
    """Whole iterations, the update with them, of a net that learns all its layers and of one with frozen layers."""
    solvers = {name: build_solver(size, name, batch, device) for name in (size.base, size.frozen)}
    names = {solver_name: solver_name.rpartition("/")[2] for solver_name in solvers}
    runs = {names[name]: lambda solver=solver: solver.step(size.passes) for name, solver in solvers.items()}
    return Comparison(
        f"net/{size.name}-frozen",
        f"{size.title}, whole iterations, {size.passes} x {batch} images",
        interleave(
            f"{size.title}, frozen layers", runs, rounds, settle=size is FULL, progress=progress, wait=waiting(device)
        ),
        work=size.passes * batch,
        ratios=(Ratio(names[size.frozen], names[size.base], LOWER, FROZEN_GOAL if size is FULL else None),),
    )


def repeated(run: Callable[[], object], times: int) -> Callable[[], None]:
    def all_times() -> None:
        for _ in range(times):
            run()

    return all_times
