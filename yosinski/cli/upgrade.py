"""`yosinski upgrade`: old prototxt and caffemodel files to the form that Caffe 1.0 writes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from yosinski.cli.options import PATH

IN = click.argument("source", metavar="IN", type=PATH)
OUT = click.argument("target", metavar="OUT", type=PATH)


@click.group()
def upgrade() -> None:
    """Bring files of any Caffe (V0, V1) to today's form."""


@upgrade.command()
@IN
@OUT
def net(source: Path, target: Path) -> None:
    """Upgrade a net definition or a .caffemodel."""
    run("net", source, target)


@upgrade.command()
@IN
@OUT
def solver(source: Path, target: Path) -> None:
    """Upgrade a solver definition."""
    run("solver", source, target)


def run(kind: str, source: Path, target: Path) -> None:
    """Exits with 1 where the upgrade loses something, as Caffe's tools do; the file is written all the same."""
    from caffe_compat import glog
    from caffe_compat.proto.upgrade.files import upgrade_file

    glog.attach(sys.stderr)
    if not upgrade_file(kind, source, target):
        raise click.exceptions.Exit(1)
