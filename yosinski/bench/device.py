"""What a device can do, and what training makes of it: rates, kernel times of the layers, images a second."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from time import perf_counter

import torch

from caffe_compat import precision as precisions
from caffe_compat.backward_plan import Wiring
from caffe_compat.net import Net
from caffe_compat.precision import Precision
from caffe_compat.recorded_pass import record_cuda
from yosinski.bench.comparison import Comparison, Progress, Ratio, Run, Samples, interleave, waiting
from yosinski.bench.nets import Size, build, build_solver, noise
from yosinski.bench.plain import PlainCaffeNet, PlainLoop
from yosinski.study.plan import make_plan
from yosinski.study.presets import find_preset

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}  # a CPU has no TF32
SIDE = {"cpu": 1024, "cuda": 8192}  # of the factors of a large product
COPIED = {"cpu": 1 << 26, "cuda": 1 << 30}  # bytes, more than any cache holds
REPEATED = {"cpu": 1, "cuda": 10}  # calls of a layer in one measurement
STEPS = {"cpu": 2, "cuda": 20}  # iterations of a round
PLAIN_GOAL = 2.0
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Rates:
    """What bounds a layer: ``copy`` in bytes read and written a second, ``product`` in operations a second."""

    copy: float
    product: float

    def bound(self, operations: float, size: float) -> float:
        """The seconds that so many operations on so many bytes take at least."""
        return max(operations / self.product, size / self.copy)


def measure(
    size: Size, rounds: int, batch: int, device: torch.device, progress: Progress | None = None
) -> Iterator[Comparison]:
    """In each of the device's precisions: rates, each layer against its bound, and training without data."""
    found, rates = measure_rates(rounds, device, progress)
    yield found
    for name in PRECISIONS[device.type]:
        yield layers(size, rounds, batch, device, precisions.parse(name), rates[name], progress)
    yield training(size, rounds, batch, device, progress)


def measure_rates(
    rounds: int, device: torch.device, progress: Progress | None = None
) -> tuple[Comparison, dict[str, Rates]]:
    """The rates of copying a large array and of a large square product, by precision."""
    source = torch.empty(COPIED[device.type], dtype=torch.uint8, device=device).zero_()
    target, side = torch.empty_like(source), SIDE[device.type]
    square = torch.randn(side, side, device=device)
    runs: dict[str, Run] = {"copy": lambda: target.copy_(source)}
    for name in PRECISIONS[device.type]:
        precision = precisions.parse(name)
        runs[f"product in {name}"] = partial(_product, precision, precision.factor(square))
    samples = interleave("the device's rates", runs, rounds, progress=progress, wait=waiting(device))
    speed = {name: 2 * (source.numel() if name == "copy" else side**3) / min(took) for name, took in samples.items()}
    facts = {f"{name}, {'GB/s' if name == 'copy' else 'TFLOP/s'}": value for name, value in speed.items()}
    rates = {name: Rates(speed["copy"], speed[f"product in {name}"]) for name in PRECISIONS[device.type]}
    title = f"{source.numel() >> 20} MiB copied, products of {side} x {side}; rates are of the fastest round"
    scaled = {name: value / (1e9 if "GB/s" in name else 1e12) for name, value in facts.items()}
    return Comparison("device/rates", title, samples, facts=scaled), rates


def _product(precision: Precision, factor: torch.Tensor) -> None:
    precision.prepare(factor.device)
    torch.mm(factor, factor)


def layers(
    size: Size,
    rounds: int,
    batch: int,
    device: torch.device,
    precision: Precision,
    rates: Rates,
    progress: Progress | None = None,
) -> Comparison:
    """Each layer's time on the device, and the least that its operations and its blobs allow at the measured rates."""
    with precisions.use(precision):
        net = build(size, batch, device)
    net.forward_backward()
    samples: Samples = {}
    for number in range(rounds):
        for i, (layer, wiring) in enumerate(zip(net.layers, net.wirings)):
            if layer.type in ("Input", "Split"):
                continue
            ways: dict[str, Callable[[], object]] = {"forward": partial(net.forward_layers, i, i)}
            if net.needs[i] is not None:
                ways["backward"] = partial(_backward, net, i)
            for way, run in ways.items():
                samples.setdefault(f"{layer.name}, {way}: time", []).append(_kernel_seconds(run, device))
                bound = rates.bound(*_work(net, wiring, way == "backward"))
                samples.setdefault(f"{layer.name}, {way}: bound", []).append(bound)
        if progress:
            progress(f"{size.title} in {precision}, layer by layer", number + 1, rounds)
    whole = {
        kind: sum(statistics.median(v) for k, v in samples.items() if k.endswith(kind)) for kind in ("time", "bound")
    }
    return Comparison(
        f"device/{size.name}-layers-{precision}",
        f"{size.title} in {precision}, {batch} images, layer by layer",
        samples,
        table=True,
        facts={"all layers, ms": 1e3 * whole["time"], "their bounds, ms": 1e3 * whole["bound"]},
    )


def _backward(net: Net, i: int) -> None:
    net.clear_param_diffs()
    net.backward_layers(i, i)


def _kernel_seconds(run: Callable[[], object], device: torch.device) -> float:
    """The time of one call on the device; on a GPU of several as one graph, whose kernels do not wait for the host."""
    times = REPEATED[device.type]

    def several() -> None:
        for _ in range(times):
            run()

    run()
    if device.type != "cuda":
        began = perf_counter()
        several()
        return (perf_counter() - began) / times
    replay, _ = record_cuda(device, several)
    replay()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    stream = torch.cuda.current_stream(device)
    begin.record(stream)
    replay()
    end.record(stream)
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / times


def _work(net: Net, wiring: Wiring, backward: bool) -> tuple[float, float]:
    """Operations in a layer's products, and bytes that it reads and writes at least, one way.

    Forward: bottoms, tops and parameters. Backward: bottoms, the tops' diffs, and the diffs that are wanted.
    """
    layer, need = wiring.layer, net.needs[net.wirings.index(wiring)]
    bottoms, tops = ([net.blobs[name].tensor for name in names] for names in (wiring.bottoms, wiring.tops))
    size = sum(tensor.nbytes for tensor in [*bottoms, *tops, *layer.params])
    products = 1.0
    if backward and need is not None:
        wanted = [tensor for tensor, flag in zip(bottoms, need.bottoms) if flag]
        size += sum(tensor.nbytes for tensor in wanted)
        products = len(wanted) + any(need.params)
    if layer.type not in ("Convolution", "InnerProduct"):
        return 0.0, size
    images, _, *pixels = tops[0].shape
    return 2.0 * products * images * layer.params[0].numel() * torch.Size(pixels).numel(), size


def training(size: Size, rounds: int, batch: int, device: torch.device, progress: Progress | None = None) -> Comparison:
    """Whole iterations without data: ours, layer by layer and as a graph, and the plain loop."""
    runs: dict[str, Run] = {}
    steps, ratios = STEPS[device.type], []
    images, labels = noise(size, batch, device)
    for name in PRECISIONS[device.type]:
        with precisions.use(name):
            runs[f"ours, {name}"] = partial(build_solver(size, size.base, batch, device).step, steps)
            if device.type == "cuda":
                graph = build_solver(size, size.base, batch, device, graphs=True)
                runs[f"ours, {name}, graph"] = partial(graph.step, steps)
        loop = PlainLoop(PlainCaffeNet(size.net).to(device), repeat((images, labels)), 0.01, 0.0005, 10**6, name)
        runs[f"plain torch, {name}"] = partial(loop.step, steps)
        ratios.append(
            Ratio(f"plain torch, {name}", f"ours, {name}", goal=PLAIN_GOAL if device.type == "cuda" else None)
        )
    samples = interleave("training", runs, rounds, warm_up=2, progress=progress, wait=waiting(device))
    facts: dict[str, float | str] = {}
    plan = make_plan(find_preset("paper"))
    for name, took in samples.items():
        rate = steps * batch / statistics.median(took)
        facts[f"{name}, img/s"] = rate
        if size.name == "full" and name.startswith("ours"):
            facts[f"{name}, preset paper"] = f"{plan.images / rate / DAY:.1f} days for {len(plan.nets)} nets"
    return Comparison(
        f"device/{size.name}-training",
        f"{size.title}, {steps} iterations of {batch} images a round, no data",
        samples,
        work=steps * batch,
        ratios=tuple(ratios),
        facts=facts,
    )
