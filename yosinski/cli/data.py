"""`yosinski data`: databases and mean images, made and looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from yosinski.cli.options import PATH


@click.group()
def data() -> None:
    """Make and inspect databases of images and their means."""


class Size(click.ParamType):
    """HEIGHTxWIDTH in pixels."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        height, _, width = value.partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            self.fail(f"{value!r} is not HEIGHTxWIDTH, such as 256x256", param, ctx)
        return int(height), int(width)


@data.command()
@click.argument("target", metavar="[DIR]", type=PATH, default=Path("data/mini"))
@click.option("--full", is_flag=True, help="All of Fashion-MNIST, where this machine has it, not the packaged part.")
def demo(target: Path, full: bool) -> None:
    """Make the demo's databases and means in DIR, by default data/mini, where prototxt/mini/ looks for them."""
    from yosinski.demo_data import write_demo_data

    written = write_demo_data(target, full=full)
    click.echo(f"{target}: {'written' if written else 'up to date'}")


@data.command()
@click.argument("root", type=PATH)
@click.argument("listfile", metavar="LIST", type=PATH)
@click.argument("target", metavar="DB", type=PATH)
@click.option("--backend", type=click.Choice(["lmdb", "leveldb"]), default="lmdb", show_default=True)
@click.option("--shuffle", is_flag=True, help="Shuffle the list first.")
@click.option("--seed", type=click.IntRange(min=0), help="Makes --shuffle repeatable.")
@click.option("--gray", is_flag=True, help="Store one channel.")
@click.option("--resize", type=Size(), help="Warp every image to this size.")
@click.option("--encoded", is_flag=True, help="Store compressed images.")
@click.option("--encode-type", default="", metavar="EXT", help="Store them as this: png, jpg...")
@click.option("--check-size", is_flag=True, help="Fail unless all images have one size.")
def convert(root: Path, listfile: Path, target: Path, **flags: Any) -> None:
    """Write the images that LIST names, below ROOT, into a new database DB, as convert_imageset does.

    Each line of LIST is a file name and a label.
    """
    from caffe_compat import glog
    from caffe_compat.data.convert import convert_imageset
    from yosinski.progress import counting

    glog.attach(sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    with counting(str(target)) as progress:
        done = convert_imageset(root, listfile, target, **flags, progress=progress)
    skipped = f", {done.skipped} unreadable files skipped" if done.skipped else ""
    click.echo(f"{target}: {done.records} records{skipped}")


@data.command()
@click.argument("source", metavar="DB", type=PATH)
@click.argument("target", metavar="[MEAN]", type=PATH, required=False)
def mean(source: Path, target: Path | None) -> None:
    """Compute the mean image of DB, as compute_image_mean does, and write it to MEAN."""
    from caffe_compat.data.mean import compute_image_mean, mean_value_lines
    from yosinski.progress import counting

    with counting(str(source)) as progress:
        values = compute_image_mean(source, target, progress=progress)
    for line in mean_value_lines(values):
        click.echo(line)


@data.command()
@click.argument("databases", metavar="DB...", type=PATH, nargs=-1, required=True)
def info(databases: tuple[Path, ...]) -> None:
    """Say what a database holds; every record is read and decoded."""
    from caffe_compat.data.info import describe
    from yosinski.progress import counting

    for path in databases:
        with counting(str(path)) as progress:
            found = describe(path, progress=progress)
        click.echo(f"{found.path}: {found.backend}, {found.records} records, {found.bytes / 1e6:.1f} MB")
        for (channels, height, width), count in found.shapes.most_common():
            click.echo(f"  {count} images of {channels} x {height} x {width}")
        if found.encoded:
            click.echo(f"  {found.encoded} encoded")
        if found.label_range:
            low, high = found.label_range
            click.echo(f"  labels {low} to {high}, {len(found.labels)} different")
        click.echo(f"  first keys: {', '.join(found.first_keys)}")
