"""What a faster precision costs: the mini base net trained and looked at layer by layer, against fp32.

Run as ``python -m yosinski.bench.precision``.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from caffe_compat.errors import CaffeError
from yosinski.cli.options import Device

if TYPE_CHECKING:
    from torch import Tensor

    from caffe_compat.net import Net
    from caffe_compat.solver import Solver

FASTER = {"cpu": ("bf16",), "cuda": ("tf32", "bf16")}  # a CPU has no TF32


@dataclass(frozen=True)
class Errors:
    """Of one layer of the trained net, on one batch: |x - fp32's x| / |fp32's x|, Euclidean norms.

    Attributes:
        layer: its name.
        top, diff: of its first top and of that one's diff; the diff is None where it has none.
        weight: of its weights' diff; None where it has no weights.
    """

    layer: str
    top: float
    diff: float | None
    weight: float | None


def trained(folder: Path, precision: str, seed: int, iterations: int | None = None, device: Any = "cpu") -> Solver:
    """The solver of the mini base net behind its last iteration; its data lie in ``folder``."""
    from caffe_compat import precision as precisions
    from caffe_compat.proto import read_solver
    from caffe_compat.solver import Solver
    from yosinski.resources import prototxt_dir

    param = read_solver(prototxt_dir() / "mini/solver.prototxt")
    param.net_param.CopyFrom(_definition(folder))
    for field in ("net", "snapshot", "snapshot_prefix"):
        param.ClearField(field)
    param.test_interval = param.max_iter + 1
    param.random_seed = seed
    with precisions.use(precision):
        solver = Solver(param, device=device, exact=True)
    solver.step(iterations or param.max_iter)
    return solver


def top1(solver: Solver) -> float:
    """The accuracy over the whole test that its solver asks for."""
    from caffe_compat.solver.pauses import finish
    from caffe_compat.solver.testing import scoring

    net = solver.test_nets[0]
    net.share_with(solver.net)
    scores = finish(scoring(net, solver.param.test_iter[0], lambda: False))
    assert scores is not None
    return float(scores.outputs["accuracy"])


def layer_errors(solver: Solver, precision: str) -> list[Errors]:
    """Those of a precision with the weights of a solver's net and the next batch of its data."""
    batch = {name: solver.net.blobs[name].tensor for name in ("data", "label")}
    reference, other = (_pass(solver, name, batch) for name in ("fp32", precision))
    found = []
    for layer, wiring in zip(reference.layers, reference.wirings):
        if not wiring.tops or wiring.tops[0] in wiring.bottoms or layer.type in ("Input", "Split"):
            continue
        mine, theirs = (net.blobs[wiring.tops[0]] for net in (reference, other))
        learned = bool(wiring.layer.params)
        weights = [net.params[layer.name][0].diff for net in (reference, other)] if learned else None
        diff = _error(mine.diff, theirs.diff) if mine.diff.any() else None
        found.append(Errors(layer.name, _error(mine.data, theirs.data), diff, _error(*weights) if weights else None))
    return found


def _pass(solver: Solver, precision: str, batch: dict[str, Tensor]) -> Net:
    """A net of that precision with the solver's weights, after a pass each way over the batch."""
    from caffe_compat import precision as precisions
    from caffe_compat import rng
    from caffe_compat.net import Net
    from yosinski.bench import nets

    with precisions.use(precision):
        net = Net(nets.without_data(nets.MINI, nets.MINI.base, len(batch["label"])), solver.net.phase)
    net.to(solver.net.device)
    net.copy_from(solver.net.to_proto())
    for name, value in batch.items():
        net.blobs[name].tensor.copy_(value)
    rng.set_random_seed(1)  # the same dropout
    net.forward_backward()
    return net


def _error(reference: Any, other: Any) -> float:
    import numpy as np

    return float(np.linalg.norm(other - reference) / np.linalg.norm(reference))


def _definition(folder: Path) -> Any:
    from caffe_compat.proto import read_net
    from yosinski.demo_data import write_demo_data
    from yosinski.resources import prototxt_dir

    write_demo_data(folder)
    net = read_net(prototxt_dir() / "mini/base_A.prototxt")
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = str(folder / Path(layer.data_param.source).name)
            layer.transform_param.mean_file = str(folder / Path(layer.transform_param.mean_file).name)
    return net


def _lines(seeds: int, iterations: int | None, device: str) -> Iterator[str]:
    """The report, each line as soon as it is known."""
    with TemporaryDirectory() as folder:
        accuracies: dict[str, list[float]] = {}
        solvers = {}
        yield f"top-1 of mini/base_A, seeds 1 to {seeds}, on {device}"
        faster = FASTER[device.partition(":")[0]]
        for name in ("fp32", *faster):
            accuracies[name] = []
            for seed in range(1, seeds + 1):
                solvers[name] = trained(Path(folder, "data"), name, seed, iterations, device)
                accuracies[name].append(top1(solvers[name]))
            each = "  ".join(f"{value:.3f}" for value in accuracies[name])
            yield f"  {name}  {each}   mean {statistics.mean(accuracies[name]):.4f}"
        for name in faster:
            yield f"\n{name}: relative errors against fp32, weights and batch the same"
            yield f"  {'layer':<12}{'top':>9}{'its diff':>10}{'weight diff':>13}"
            for row in layer_errors(solvers["fp32"], name):
                figures = [f"{value:.1e}" if value is not None else "-" for value in (row.top, row.diff, row.weight)]
                yield f"  {row.layer:<12}{figures[0]:>9}{figures[1]:>10}{figures[2]:>13}"


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Nets trained a precision.")
@click.option("--iterations", type=click.IntRange(min=1), help="Instead of the solver's max_iter.")
@click.option("--device", type=Device(), default="cpu", show_default=True, help="auto, cpu or cuda:N.")
def main(seeds: int, iterations: int | None, device: str) -> None:
    """Train mini/base_A in each precision; print its top-1, and where and how much a pass differs from fp32's."""
    from yosinski.device import find_device

    try:
        for line in _lines(seeds, iterations, str(find_device(device))):
            click.echo(line)
    except CaffeError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
