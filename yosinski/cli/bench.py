"""`yosinski bench`: how fast this is, next to plain torch, real Caffe and the machine's own limits."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yosinski.cli.options import PATH, device_option

if TYPE_CHECKING:
    from yosinski.bench.comparison import Comparison, Progress

SHORT = 3  # rounds where all benches run
SIZES = ("mini", "full")
SIZE = click.option("--size", type=click.Choice(SIZES), help="Of the study's nets.  [default: both]")


@dataclass(frozen=True)
class Wish:
    """What to do with the figures; ``slower``: the factor by which a ratio may become worse."""

    rounds: int
    json_path: Path | None
    save: Path | None
    compare: Path | None
    slower: float


def measuring(rounds: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of all benches, handed on as ``wish``."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--rounds", type=click.IntRange(min=1), default=rounds, show_default=True, help="Of each contender."
        )
        @click.option("--json", "json_path", type=PATH, metavar="FILE", help="Write all samples; - for stdout only.")
        @click.option("--save", type=PATH, metavar="FILE", help="Note the ratios in a file to compare with later.")
        @click.option("--compare", type=PATH, metavar="FILE", help="Say which ratios are worse than in such a file.")
        @click.option(
            "--slower",
            type=click.FloatRange(min=1),
            default=1.25,
            show_default=True,
            metavar="FACTOR",
            help="With --compare: by how much a ratio may be worse; beyond it, exit with 1.",
        )
        @functools.wraps(command)
        def wrapper(
            rounds: int, json_path: Path | None, save: Path | None, compare: Path | None, slower: float, **others: Any
        ) -> None:
            command(wish=Wish(rounds, json_path, save, compare, slower), **others)

        return wrapper

    return decorate


@click.group(invoke_without_command=True)
@measuring(SHORT)
@device_option
@click.pass_context
def bench(ctx: click.Context, wish: Wish, device: str) -> None:
    """Measure how fast this is; without the name of a bench: all of them, each short.

    Contenders run in turn, round by round, so that another load on the machine slows all alike. Ratios are medians of
    those within a round. Options go behind the name of the bench.
    """
    if ctx.invoked_subcommand is not None:
        if any(ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE for name in ctx.params):
            raise click.UsageError(
                f"options go behind the name of the bench: yosinski bench {ctx.invoked_subcommand} ..."
            )
        return
    from yosinski.bench import all_short

    report(wish, device, all_short.measure)


@bench.command()
@SIZE
@click.option("--batch", type=click.IntRange(min=1), help="Images in a pass.  [default: 64; CaffeNet on a GPU 256]")
@device_option
@measuring(5)
def net(wish: Wish, size: str | None, batch: int | None, device: str) -> None:
    """Nets forward and backward, against the bound.

    Whole and layer by layer, and what frozen layers save: against plain torch modules, against real Caffe if CAFFE_ROOT
    or PATH has a build, and against a bound: the time of the net's matrix products at the rate of one large product,
    measured in the same rounds.
    """

    def measure(rounds: int, where: Any, progress: Progress) -> Iterator[Comparison]:
        from yosinski.bench import net

        return net.measure(sizes(size), rounds, batch, where, progress)

    report(wish, device, measure)


@bench.command()
@click.option("--long", is_flag=True, help="Memory over 100,000 images, too, and 20,000 pictures prepared, not 1,000.")
@measuring(7)
def data(wish: Wish, long: bool) -> None:
    """From a database to batches, against DataLoader.

    Batches are cropped, mirrored and less the mean; real Caffe's data layer takes part if CAFFE_ROOT or PATH has a
    build. Then encoded images against their decoder alone, an index against an LMDB, and `data prepare`, which works
    in a temporary folder in the current one.
    """

    def measure(rounds: int, where: Any, progress: Progress) -> Iterator[Comparison]:
        from yosinski.bench import data

        return data.measure(rounds, long=long, progress=progress)

    report(wish, "cpu", measure)


@bench.command()
@SIZE
@click.option("--iterations", type=click.IntRange(min=1), help="Of a round.  [default: for about two seconds]")
@device_option
@measuring(7)
def train(wish: Wish, size: str | None, iterations: int | None, device: str) -> None:
    """Training end to end, against plain torch.

    `yosinski train`'s own path, and the loop that one would write with torch's own parts, from a database to updated
    weights: the demo's net on the demo's images, and CaffeNet on noise; on a GPU in every precision.
    """

    def measure(rounds: int, where: Any, progress: Progress) -> Iterator[Comparison]:
        from yosinski.bench import train

        return train.measure(sizes(size), rounds, iterations, where, progress)

    report(wish, device, measure)


@bench.command()
@SIZE
@click.option("--iterations", type=click.IntRange(min=1), default=40, show_default=True, help="Of each net in a round.")
@device_option
@measuring(5)
def study(wish: Wish, size: str | None, iterations: int, device: str) -> None:
    """Four nets together, and hours of studies.

    The same four nets are trained together and one after the other; then the hours of every preset, at the speed at
    which one of its nets trains here.
    """

    def measure(rounds: int, where: Any, progress: Progress) -> Iterator[Comparison]:
        from yosinski.bench import study

        return study.measure(sizes(size), rounds, iterations, where, progress)

    report(wish, device, measure)


@bench.command()
@SIZE
@click.option("--images", type=click.IntRange(min=50), help="To score.  [default: 10000 small, 250 large]")
@click.option("--threads", type=click.IntRange(min=1), multiple=True, help="Cores to use.  [default: 1, then 2]")
@measuring(5)
def infer(wish: Wish, size: str | None, images: int | None, threads: tuple[int, ...]) -> None:
    """Scores, against ONNX Runtime and the checker.

    All images of a database scored by this runtime, by ONNX Runtime in Python, and by the C++ checker, each in a
    process with so many cores.
    """

    def measure(rounds: int, where: Any, progress: Progress) -> Iterator[Comparison]:
        from yosinski.bench import infer

        return infer.measure(sizes(size), rounds, threads or (1, 2), images, progress)

    report(wish, "cpu", measure)


def sizes(name: str | None) -> list[Any]:
    """The sizes of nets that ``--size`` asks for."""
    from yosinski.bench.nets import SIZES

    return [SIZES[name]] if name else list(SIZES.values())


def report(wish: Wish, device: str, measure: Callable[[int, Any, Progress], Iterator[Comparison]]) -> None:
    """Measure, print every comparison as it is made, and do with all of them what the user wishes."""
    from caffe_compat.atomic import write_text
    from yosinski.bench import machine, regression
    from yosinski.bench.show import Live, show
    from yosinski.device import find_device

    where = find_device(device)
    facts = machine.facts(where)
    for_people = str(wish.json_path) != "-"
    if wish.compare is not None:
        regression.read(wish.compare)  # before the work, in case it is no such file
    if for_people:
        click.echo(f"{machine.headline(facts)}\n")
    made = []
    with Live() as live:
        for comparison in measure(wish.rounds, where, live):
            made.append(comparison)
            if for_people:
                live.clear()
                show(comparison)
    if wish.json_path is not None:
        text = json.dumps({"machine": facts, "comparisons": {c.name: c.to_json() for c in made}}, indent=1)
        if for_people:
            write_text(wish.json_path, text + "\n")
        else:
            click.echo(text)
    if wish.compare is not None:
        tell_changes(wish.compare, regression.compare(wish.compare, where.type, made), wish.slower)
    if wish.save is not None:
        regression.save(wish.save, where.type, facts, made)


def tell_changes(path: Path, changes: list[Any], slower: float) -> None:
    """Say what became worse. CaffeError if anything did by more than the factor."""
    from caffe_compat.errors import CaffeError

    worse = [change for change in changes if change.slower > slower]
    for change in worse:
        click.echo(f"slower: {change.name}: {change.then:.3g} then, {change.now:.3g} now", err=True)
    if worse:
        raise CaffeError(f"{len(worse)} of {len(changes)} ratios are worse than in {path} by more than {slower:g}")
    click.echo(f"none of {len(changes)} ratios is worse than in {path} by more than {slower:g}", err=True)
