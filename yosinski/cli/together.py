"""`yosinski train A B ... --together`: several nets, and what is said about them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffe_compat.interrupt import INTERRUPTED

if TYPE_CHECKING:
    from yosinski.session import Outcome
    from yosinski.training import Wish


def train_together(prototxts: Sequence[Path], wish: Wish, device: str) -> None:
    """Train several nets as ``wish`` says of each; its ``out`` is the folder of their run directories.

    To be resumed, each goes on from its own newest snapshot; those without one begin, those that have finished stay.
    """
    from yosinski import together
    from yosinski.device import find_device
    from yosinski.session import Outcome
    from yosinski.training import Training

    trainings = []
    for prototxt in prototxts:
        one = _wish(prototxt, wish)
        training = Training(one)
        if (
            (wish.resume or wish.as_caffe)
            and training.run.finished
            and training.param.max_iter <= training.run.iteration
        ):
            click.echo(f"{training.run.path}: has finished before")
        else:
            trainings.append(training)
    where = find_device(device, prefer_cpu=all(training.wants_cpu for training in trainings))
    ends = list(zip(trainings, together.train(trainings, where)))
    for training, end in ends:
        if not isinstance(end, Outcome):
            place = f"{training.run.path}: "
            click.echo(f"yosinski: {place}{str(end).removeprefix(place)}", err=True)
        elif end.finished:
            click.echo(f"{training.run.path}: {summary(end)}")
    if any(not isinstance(end, Outcome) for _, end in ends):
        raise click.exceptions.Exit(1)
    stopped = [str(training.run.path) for training, end in ends if isinstance(end, Outcome) and not end.finished]
    if stopped:
        again = shlex.join(["yosinski", "train", *stopped, "--together", "--resume", "--device", str(where)])
        click.echo(f"yosinski: stopped; go on with: {again}", err=True)
        raise click.exceptions.Exit(INTERRUPTED)


def _wish(prototxt: Path, wish: Wish) -> Wish:
    from yosinski.resources import find_prototxt
    from yosinski.run_dir import RunDir
    from yosinski.training import run_path

    place = run_path(find_prototxt(prototxt), wish.split)
    if wish.out:
        place = wish.out / place.name
    begun = bool(RunDir(place).snapshots("solverstate"))
    return replace(wish, prototxt=prototxt, out=place, resume=wish.resume and begun, as_caffe=wish.as_caffe and begun)


def summary(end: Outcome) -> str:
    """How a session that finished ended."""
    top1 = f", top-1 {end.top1:.4f} at iteration {end.tested_at}" if end.top1 is not None else ""
    return f"{end.iterations} iterations{top1}"
