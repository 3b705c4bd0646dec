"""`yosinski train`: a run directory from a net or solver definition."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from caffe_compat.program import INTERRUPTED
from yosinski.cli.options import PATH, compat_option, device_option, find_device, say_device, weights_option


@click.command()
@click.argument("prototxt", type=PATH, required=False)
@click.option("--solver", type=PATH, help="Solver for a net definition; default: solver.prototxt beside it.")
@weights_option
@click.option("--snapshot", type=PATH, metavar="FILE", help="A .solverstate to go on from.")
@click.option("--resume", is_flag=True, help="Go on from the run's newest snapshot.")
@device_option
@click.option("--max-iter", type=click.IntRange(min=0), help="Instead of the solver's max_iter.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Instead of the solver's random_seed.")
@click.option("--out", type=PATH, metavar="DIR", help="The run directory.  [default: runs/NAME]")
@click.option("--data-root", type=PATH, metavar="DIR", help="Goes in front of relative data and mean paths.")
@compat_option
@click.option("--force", is_flag=True, help="Start over where a run has been.")
def train(
    prototxt: Path | None,
    solver: Path | None,
    weights: str | None,
    snapshot: Path | None,
    resume: bool,
    device: str,
    max_iter: int | None,
    seed: int | None,
    out: Path | None,
    data_root: Path | None,
    compat: str | None,
    force: bool,
) -> None:
    """Train PROTOTXT: a net or solver definition, or a run directory to --resume.

    The run directory holds the definitions as used, Caffe's log lines, the snapshots, and run.json with versions and
    hashes. Snapshots go there whatever snapshot_prefix says. Ctrl-C finishes the iteration, writes a snapshot and
    exits with 130; a hangup signal just writes a snapshot.
    """
    if prototxt is None and solver is None:
        raise click.UsageError("Missing argument 'PROTOTXT'.")
    if (snapshot or resume) and (weights or force):
        raise click.UsageError("--snapshot and --resume go on with a run; --weights and --force start one.")
    from yosinski.model import find_weights
    from yosinski.training import Training, Wish

    wish = Wish(
        prototxt=prototxt or solver or Path(),
        solver=solver if prototxt else None,
        weights=tuple(find_weights(weights)),
        snapshot=snapshot,
        resume=resume,
        max_iter=max_iter,
        seed=seed,
        out=out,
        data_root=data_root,
        force=force,
        compat=compat,
    )
    training = Training(wish)
    where = find_device(device, prefer_cpu=training.wants_cpu)
    with training.opened(str(where)) as run, ExitStack() as stack:
        from caffe_compat import glog
        from caffe_compat.compat import use
        from caffe_compat.solver import Solver
        from caffe_compat.solver.signals import handle_signals
        from yosinski import progress

        terminal = sys.stderr.isatty()
        if not terminal:
            stack.callback(glog.detach, glog.attach(sys.stderr))
        scores = stack.enter_context(progress.listening())
        say_device(where, 197, 204)
        stack.enter_context(use(training.compat))
        job = Solver(training.param, net_class=training.build_net, device=where)
        stack.enter_context(handle_signals(job))
        if training.state:
            glog.info("caffe.cpp:235", f"Resuming from {training.state}")
            job.restore(training.state)
        glog.info("caffe.cpp:239", "Starting Optimization")
        if terminal:
            stack.enter_context(progress.bar(job, scores, run.name))
        job.solve()
        glog.info("caffe.cpp:250", "Optimization Done.")
        finished = job.iter >= training.param.max_iter
        run.end("finished" if finished else "interrupted", job.iter, tested_at=scores.tested_at, scores=scores.test)
    if not finished:
        again = shlex.join(["yosinski", "train", str(run.path), "--resume", "--device", str(where)])
        click.echo(f"yosinski: stopped at iteration {job.iter}; go on with: {again}", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
    top1 = (
        f", top-1 {scores.top1:.4f} at iteration {scores.tested_at}"
        if scores.top1 is not None and scores.tested_at > 0
        else ""
    )
    click.echo(f"{run.path}: {job.iter} iterations{top1}")
