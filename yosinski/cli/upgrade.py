"""`yosinski upgrade`: old prototxt and caffemodel files to the form that Caffe 1.0 writes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

IN = click.argument("source", metavar="IN", type=click.Path(path_type=Path))
OUT = click.argument("target", metavar="OUT", type=click.Path(path_type=Path))


@click.group()
def upgrade() -> None:
    """Bring files of any Caffe (V0, V1) to today's form."""


@upgrade.command()
@IN
@OUT
def net(source: Path, target: Path) -> None:
    """Upgrade a net definition or a .caffemodel."""
    upgrade_file("net", source, target)


@upgrade.command()
@IN
@OUT
def solver(source: Path, target: Path) -> None:
    """Upgrade a solver definition."""
    upgrade_file("solver", source, target)


def upgrade_file(kind: str, source: Path, target: Path) -> None:
    from caffe_compat import glog
    from caffe_compat.proto.upgrade import files

    glog.attach(sys.stderr)
    if not files.upgrade_file(kind, source, target):
        raise click.exceptions.Exit(1)  # written, with losses that the log names
