"""`yosinski study`: all nets of the study as one plan."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caffe_compat.cores import cores
from yosinski.cli.options import PATH, Device, compat_option

if TYPE_CHECKING:
    from yosinski.study.plan import Plan
    from yosinski.study.speed import Speed

FOLDER = click.argument("folder", metavar="[DIR]", type=PATH, default=Path("runs/study"))
PRESET = click.option(
    "--preset",
    default="mini",
    show_default=True,
    metavar="NAME|FILE",
    help="paper, full, mini, tiny, or a file with a study of your own.",
)
TOGETHER = click.option(
    "--together", type=click.IntRange(min=1), help="Nets trained together at most, on one GPU.  [default: 4]"
)
MAX_ITER = click.option("--max-iter", type=click.IntRange(min=1), help="Of every net, instead of its solver's.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
ORIGIN = ("train", "valid", "valid_labels")


def laid_out(command: Callable[..., None]) -> Callable[..., None]:
    """A command about a study in DIR: gets its ``folder``, ``plan`` and ``options``."""

    @FOLDER
    @PRESET
    @TOGETHER
    @MAX_ITER
    @click.option("--data", type=PATH, metavar="DIR", help="Images, indices and means.  [default: DIR/data]")
    @click.option("--train", type=PATH, help="Training images, as for `yosinski data prepare`.")
    @click.option("--valid", type=PATH, help="Validation images.")
    @click.option("--valid-labels", type=PATH, help="Their labels, where they are flat.")
    @compat_option
    @functools.wraps(command)
    def wrapper(folder: Path, preset: str, together: int | None, max_iter: int | None, **others: Any) -> None:
        from caffe_compat.compat import parse
        from yosinski.study.folder import Folder, Options
        from yosinski.study.plan import make_plan
        from yosinski.study.presets import find_preset

        data, compat = others.pop("data"), others.pop("compat") or "1.0"
        parse(compat)
        origin = {name: others.pop(name) for name in ORIGIN}
        for name, path in origin.items():
            if path is not None and not path.exists():
                raise click.UsageError(f"--{name.replace('_', '-')} {path}: no such file or folder")
        given = {name: str(path.absolute()) for name, path in origin.items() if path}
        plan = make_plan(find_preset(preset, together), max_iter)
        command(folder=Folder(folder), plan=plan, options=Options(data, given, compat), **others)

    return wrapper


@click.group()
def study() -> None:
    """Plan, run and export a whole study: every net in its turn, from images to a report.

    Its tasks are Snakemake's (pip install 'yosinski[study]'). Whatever ends a study, `study run` with the same DIR goes
    on with it, and its nets come out as if nothing had happened.
    """


@study.command()
@FOLDER
@PRESET
@TOGETHER
@MAX_ITER
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), metavar="IMG/S", help="Of one net in training.")
@click.option("--measure", is_flag=True, help="Measure the speed on this machine, and remember it.")
@click.option("--device", type=Device(), default="auto", show_default=True, help="For --measure: auto, cpu or cuda:N.")
@click.option("--gpus", type=click.IntRange(min=1), default=1, show_default=True, help="Groups in training at a time.")
@JSON
def plan(
    folder: Path,
    preset: str,
    together: int | None,
    max_iter: int | None,
    speed: float | None,
    measure: bool,
    device: str,
    gpus: int,
    as_json: bool,
) -> None:
    """Print the nets in an order in which they can be trained, with the images to train and the hours."""
    from yosinski.study.folder import Folder
    from yosinski.study.plan import make_plan
    from yosinski.study.presets import find_preset
    from yosinski.study.speed import find_speed
    from yosinski.study.speed import measure as measure_speed

    made = make_plan(find_preset(preset, together), max_iter)
    if measure:
        from yosinski.device import find_device

        measure_speed(made.preset.scale, find_device(device))
    known = find_speed(made.preset.scale, speed, Folder(folder))
    if as_json:
        click.echo(json.dumps(plan_facts(made, known), indent=1))
    else:
        print_plan(made, known, gpus)


def plan_facts(made: Plan, known: Speed | None) -> dict[str, Any]:
    """What ``study plan --json`` prints; hours are null where no speed is ``known``."""
    rate = known and known.images_per_second
    nets = [{**net.to_json(), "hours": rate and net.images / rate / 3600} for net in made.nets]
    total = {"images": made.images, "longest": made.longest, "speed": rate, "speed_source": known and known.source}
    groups = [[net.name for net in group] for group in made.groups]
    return {"preset": made.preset.name, **total, "nets": nets, "together": groups}


def print_plan(made: Plan, known: Speed | None, gpus: int) -> None:
    """One line a net, and what they come to with ``gpus`` groups in training at a time."""
    from yosinski.study.status import duration

    rate = known and known.images_per_second
    header = ("", "net", "family", "split", "n", "from", "iterations", "images", "hours")
    rows = [
        (
            str(i),
            net.name,
            net.family,
            net.spec.split or "",
            str(net.spec.n or ""),
            net.base or "",
            f"{net.iterations:,}",
            f"{net.images:,}",
            f"{net.images / rate / 3600:.3g}" if rate else "",
        )
        for i, net in enumerate(made.nets, 1)
    ]
    print_columns([header, *rows], left=(1, 2, 3, 5))
    click.echo(f"{len(made.nets)} nets: {made.preset.title}")
    most = max(map(len, made.groups), default=0)
    alike = "that start from the same net and read the same images"
    click.echo(f"trained in {len(made.groups)} groups of up to {most} {alike}")
    click.echo(f"{made.images:,} images to train, {made.longest:,} of them one after the other")
    if known and rate:
        hours = duration(max(made.images / gpus, made.longest) / rate)
        at_a_time = "one at a time" if gpus == 1 else f"{gpus} at a time"
        click.echo(f"{hours} in all, {at_a_time}, at {rate:,.0f} img/s {known.source}")
    else:
        click.echo("no hours: nothing is known of the speed here; --measure finds it out, --speed says it")


def print_columns(rows: list[tuple[str, ...]], left: tuple[int, ...]) -> None:
    """Rows as aligned text; columns are to the right unless they are in ``left``."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        click.echo("  ".join(cells).rstrip())


@study.command()
@laid_out
@click.option("--devices", metavar="LIST", help="cpu, or GPUs such as cuda:0,cuda:1.  [default: all there are]")
@click.option(
    "--slots-per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Groups of nets that share a GPU."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Groups in training at a time.  [default: one a core or slot]")
def run(folder: Any, plan: Any, options: Any, devices: str | None, slots_per_gpu: int, jobs: int | None) -> None:
    """Run a study in DIR, or go on with it, and print its results.

    Killed or stopped, it goes on where it was, and comes out the same. Two in one DIR are refused, and so are changes
    to its definitions. Ctrl-C lets every net in training write a snapshot first.
    """
    import time

    from rich.console import Console

    from yosinski.study.results import read_results, table
    from yosinski.study.run import run_study
    from yosinski.study.show import shown

    if devices is None and plan.preset.images == "fashion":
        devices = "cpu"  # its nets are too small for more
    began = time.monotonic()
    try:
        with shown() as show:
            run_study(folder, plan, options, machine(devices, slots_per_gpu, jobs), show)
    except KeyboardInterrupt:
        click.echo("yosinski: stopped; the same command goes on", err=True)
        raise
    Console().print(table(read_results(folder.results)))
    where = f"all nets, the page and the table are in {folder.path} and its report/"
    click.echo(f"{time.monotonic() - began:.0f} s; {where}")


def machine(devices: str | None, slots_per_gpu: int, jobs: int | None) -> Any:
    """What of this machine a study may use."""
    from yosinski.study.run import Machine

    names = tuple(devices.split(",")) if devices else gpus() or ("cpu",)
    if any(not (name == "cpu" or name.startswith("cuda:")) for name in names) or (len(names) > 1 and "cpu" in names):
        raise click.UsageError(f"--devices {devices}: expected cpu, or GPUs such as cuda:0,cuda:1")
    slots = jobs or (cores() if names == ("cpu",) else len(names) * slots_per_gpu)
    return Machine(names, slots, slots_per_gpu, max(cores(), slots))


def gpus() -> tuple[str, ...]:
    """The GPUs of this machine, as torch counts them."""
    import torch

    return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))


@study.command()
@FOLDER
@JSON
@click.option("--watch", is_flag=True, help="Go on showing it.")
def status(folder: Path, as_json: bool, watch: bool) -> None:
    """Say how far the study in DIR is, net by net: iteration, loss, top-1, speed, time left."""
    import time

    from yosinski.study.folder import Folder
    from yosinski.study.show import shown
    from yosinski.study.status import cells, read_status, summary

    place = Folder(folder)
    facts = place.read()
    if watch and not as_json:
        with shown() as show:
            while True:
                show(read_status(place, facts))
                time.sleep(1)
    nets = read_status(place, facts)
    if as_json:
        click.echo(json.dumps({"summary": summary(nets), "nets": [net.to_json() for net in nets]}, indent=1))
        return
    if sys.stdout.isatty():
        from rich.console import Console

        from yosinski.study.status import table

        Console().print(table(nets, summary(nets)))
        return
    header = ("net", "state", "iteration", "loss", "top-1", "img/s", "left")
    print_columns([header, *((net.name, net.state, *cells(net)) for net in nets)], left=(0, 1))
    click.echo(summary(nets))


@study.command()
@laid_out
@click.option("--slurm", is_flag=True, help="Write a profile for Snakemake's Slurm executor, too.")
@click.option("--partition", help="For --slurm: the partition with GPUs.")
def export(folder: Any, plan: Any, options: Any, slurm: bool, partition: str | None) -> None:
    """Lay a study out in DIR, run nothing, and print the commands by which Snakemake itself runs it."""
    from yosinski.study.export import local_command, slurm_command, write_slurm

    if partition and not slurm:
        raise click.UsageError("--partition goes with --slurm.")
    folder.write(plan, options)
    if slurm:
        click.echo(f"# {write_slurm(folder.path, partition)}; needs: pip install snakemake-executor-plugin-slurm")
        click.echo(slurm_command(folder.path))
    else:
        click.echo(local_command(folder.path))


@study.command(hidden=True)
@click.argument("step")
@click.argument("names", nargs=-1)
@click.pass_context
def job(ctx: click.Context, step: str, names: tuple[str, ...]) -> None:
    """One task of a study, in its folder; what the rules in its Snakefile call."""
    from yosinski.study.jobs import run_job

    ctx.exit(run_job(step, names))
