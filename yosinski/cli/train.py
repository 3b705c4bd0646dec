"""`yosinski train`: a run directory from a net or solver definition."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from caffe_compat.interrupt import INTERRUPTED
from yosinski.cli.options import (
    PATH,
    SEED,
    compat_option,
    device_option,
    precision_option,
    split_option,
    weights_option,
)
from yosinski.cli.together import summary, train_together

if TYPE_CHECKING:
    from yosinski.training import Wish


@click.command()
@click.argument("prototxt", type=PATH, nargs=-1)
@click.option("--together", is_flag=True, help="Train several nets in turn, with one stream of data.")
@click.option("--solver", type=PATH, help="Solver for a net definition.  [default: solver.prototxt beside it]")
@split_option
@weights_option
@click.option("--snapshot", type=PATH, metavar="FILE", help="A .solverstate to go on from.")
@click.option("--resume", is_flag=True, help="Go on from the run's newest snapshot as if nothing had happened.")
@click.option("--resume-as-caffe", is_flag=True, help="Go on from it with the data at their beginning, as Caffe does.")
@device_option
@click.option("--max-iter", type=click.IntRange(min=0), help="Instead of the solver's max_iter.")
@click.option("--seed", type=SEED, help="Instead of the solver's random_seed.")
@click.option("--data-seed", type=SEED, help="Of crops and mirrors alone; else they follow from the seed, too.")
@click.option(
    "--out", type=PATH, metavar="DIR", help="The run directory; with --together their folder.  [default: runs/NAME]"
)
@click.option("--data-root", type=PATH, metavar="DIR", help="Goes in front of relative data and mean paths.")
@compat_option
@precision_option
@click.option("--graphs", is_flag=True, help="On a GPU, launch each pass as one recorded CUDA graph: the same numbers.")
@click.option(
    "--hold",
    type=click.Choice(["host", "device"]),
    help="Read all images first and hold them, decoded, in memory: the same numbers.",
)
@click.option(
    "--decode",
    type=click.Choice(["opencv", "nvjpeg"]),
    help="Who decodes JPEG records; nvjpeg does on the GPU, to pixels a little off.  [default: opencv]",
)
@click.option("--force", is_flag=True, help="Start over where a run has been.")
def train(
    prototxt: tuple[Path, ...],
    together: bool,
    solver: Path | None,
    split: str | None,
    weights: str | None,
    snapshot: Path | None,
    resume: bool,
    resume_as_caffe: bool,
    device: str,
    max_iter: int | None,
    seed: int | None,
    data_seed: int | None,
    out: Path | None,
    data_root: Path | None,
    compat: str | None,
    precision: str | None,
    graphs: bool,
    hold: Literal["host", "device"] | None,
    decode: Literal["opencv", "nvjpeg"] | None,
    force: bool,
) -> None:
    """Train PROTOTXT: a net or solver definition, or a run directory to --resume.

    The run directory holds the definitions as used, Caffe's log lines, the snapshots, and run.json with versions and
    hashes. Snapshots go there whatever snapshot_prefix says. Ctrl-C or SIGTERM finishes the iteration, writes a
    snapshot and exits with 130; a hangup signal just writes a snapshot.

    Several nets --together are trained in one process, each in a run directory of its own and with the numbers that it
    has alone. What they have in common is done once: reading, decoding, with the same --data-seed also crops and
    mirrors, and the forward of frozen layers.

    torchrun --nproc-per-node N -m yosinski train ... trains one net with N processes, each with a GPU of its own, or
    on the CPU, and its part of every batch.
    """
    if not prototxt and (solver is None or together):
        raise click.UsageError("Missing argument 'PROTOTXT'.")
    if len(prototxt) > 1 and not together:
        raise click.UsageError(
            f"{len(prototxt)} definitions: with --together they are trained in turn, from one stream."
        )
    if together and "TORCHELASTIC_RUN_ID" in os.environ:
        raise click.UsageError("--together is several nets in one process; torchrun splits one net over several.")
    if together and snapshot:
        raise click.UsageError("--snapshot is of one net; --together takes --resume.")
    if (snapshot or resume or resume_as_caffe) and (weights or force):
        raise click.UsageError("--snapshot and --resume go on with a run; --weights and --force start one.")
    if (snapshot is not None) + resume + resume_as_caffe > 1:
        raise click.UsageError("--snapshot, --resume and --resume-as-caffe exclude each other.")
    from yosinski.model import find_weights
    from yosinski.training import Wish

    wish = Wish(
        prototxt=prototxt[0] if prototxt else solver or Path(),
        solver=solver if prototxt else None,
        weights=tuple(find_weights(weights)),
        snapshot=snapshot,
        resume=resume,
        as_caffe=resume_as_caffe,
        max_iter=max_iter,
        seed=seed,
        data_seed=data_seed,
        out=out,
        data_root=data_root,
        split=split,
        force=force,
        compat=compat,
        precision=precision,
        graphs=graphs,
        hold=hold,
        decode=decode,
    )
    if together:
        train_together(prototxt, wish, device)
    else:
        train_one(wish, device)


def train_one(wish: Wish, device: str) -> None:
    """Train one net, maybe as one of several processes, of which the first says how it went.

    Exits with 130 if it was stopped, and says how to go on.
    """
    from caffe_compat import parallel
    from yosinski import session
    from yosinski.device import find_device
    from yosinski.training import Training

    with parallel.joined() as world:
        training = Training(wish)
        where = find_device(device, prefer_cpu=training.wants_cpu)
        done = session.train(training, where)
    if not done.finished:
        if world.leads:
            alone = world.size == 1
            program = ["yosinski"] if alone else ["torchrun", f"--nproc-per-node={world.size}", "-m", "yosinski"]
            on = str(where) if alone else where.type
            again = shlex.join([*program, "train", str(training.run.path), "--resume", "--device", on])
            click.echo(f"yosinski: stopped at iteration {done.iterations}; go on with: {again}", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
    if not world.leads:
        return
    click.echo(f"{training.run.path}: {summary(done)}")
