"""`yosinski data`: databases and mean images, made and looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from yosinski.cli.options import PATH, SEED, Size, Split

ORDER = click.option(
    "--order",
    type=click.Choice(["2014", "caffe", "list"]),
    default="2014",
    show_default=True,
    help="Order of the records: as the study's tool shuffled, as Caffe 1.0's does with --seed, or as the list.",
)
OF_ORDER = click.option("--seed", type=SEED, default=0, show_default=True, help="Of --order caffe.")
JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: one a core]")


@click.group()
def data() -> None:
    """Make and inspect databases of images and their means."""


@data.command()
@click.argument("target", metavar="[DIR]", type=PATH, default=Path("data/mini"))
@click.option("--full", is_flag=True, help="All of Fashion-MNIST, where this machine has it, not the packaged part.")
def demo(target: Path, full: bool) -> None:
    """Make the demo's databases and means in DIR, by default data/mini, where prototxt/mini/ looks for them."""
    from yosinski.demo_data import write_demo_data
    from yosinski.progress import counting

    with counting(str(target)) as progress:
        written = write_demo_data(target, full, progress)
    click.echo(f"{target}: {'written' if written else 'up to date'}")


@data.command()
@click.option("--train", type=PATH, help="Folders of classes, the train tar or its class tars, or a list.")
@click.option("--valid", type=PATH, help="The same, or a flat folder or tar with --valid-labels.")
@click.option("--valid-labels", type=PATH, help="The devkit, Kaggle's csv, a file of synsets, or a list.")
@click.option("--root", type=PATH, metavar="DIR", help="Folder of the files that a list names.  [default: the list's]")
@click.option("--out", type=PATH, metavar="DIR", default=Path("data"), show_default=True, help="Where it all goes.")
@click.option("--size", type=Size(), default="256x256", show_default=True, help="Every image is warped to this.")
@click.option("--encode", type=click.Choice(["jpg", "png"]), help="Store compressed images, not raw pixels.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="What an image that cannot be read does: it is left out, as by Caffe's tool, or ends the work.",
)
@click.option("--strict", is_flag=True, help="Count truncated and CMYK images as unreadable; Caffe takes them.")
@ORDER
@OF_ORDER
@JOBS
def prepare(
    train: Path | None,
    valid: Path | None,
    valid_labels: Path | None,
    root: Path | None,
    out: Path,
    size: tuple[int, int],
    encode: str | None,
    jobs: int | None,
    order: Any,
    seed: int,
    on_error: Any,
    strict: bool,
) -> None:
    """Turn ImageNet, or any labelled images, into lists and LMDBs of the whole.

    Killed or out of disk, the same command goes on where it was. Every database is read back and compared with its
    list before it gets its name.
    """
    import time
    from contextlib import ExitStack

    from caffe_compat.cores import cores
    from yosinski.dataset.build import Recipe
    from yosinski.dataset.prepare import Origin, prepare
    from yosinski.progress import counting

    if train is None and valid is None:
        raise click.UsageError("Nothing to prepare: --train, --valid or both say where the images are.")
    began, busy = time.perf_counter(), time.process_time()
    with ExitStack() as stack:
        done = prepare(
            out,
            Origin(train, valid, valid_labels, root),
            Recipe(size, encode or "", on_error, strict),
            order,
            seed,
            jobs,
            lambda part: stack.enter_context(counting(f"{out}/{part}_lmdb")),
        )
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    for part, found in done.items():
        click.echo(f"{out}/{part}.txt: {found.images} images, md5 {found.md5}, {_known(found.published)}")
        low, high = found.per_class
        left_out = f", {len(found.skipped)} left out" if found.skipped else ""
        classes = f"{found.classes} classes of {low} to {high}"
        click.echo(f"{out}/{part}_lmdb: {found.records} records{left_out}, {classes}, verified")
        if (out / f"{part}.bad.txt").exists():
            click.echo(f"{out}/{part}.bad.txt: images with something wrong")
    converted = sum(found.converted for found in done.values())
    if converted:
        speed = f"{converted / seconds:.0f} img/s, {busy / seconds:.2f} of {cores()} cores busy"
        click.echo(f"{converted} images in {seconds:.1f} s: {speed}")


def _known(published: str | None) -> str:
    return f"{published} as published" if published else "none of the published lists"


@data.command()
@click.argument("listfile", metavar="LIST", type=PATH)
@click.option("--split", type=Split(), required=True, help="A random seed (the study's: 0 to 3), or natman.")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Where A.txt and B.txt go.")
@click.option("--classes", type=click.IntRange(min=2), default=1000, show_default=True, help="Number of classes.")
def split(listfile: Path, split: str, out: Path, classes: int) -> None:
    """Split LIST, lines of a name and a label, by class into halves A and B.

    The order of the lines is kept; the classes of each half are numbered anew.
    """
    from yosinski.lists import of_classes, published_name, read_images, write_list
    from yosinski.splits import split_classes

    entries = read_images(listfile, classes)
    missing = sorted(set(range(classes)) - {entry.label for entry in entries})
    if missing:
        what = f"{listfile}: no images of {len(missing)} of {classes} classes, such as {missing[0]}"
        click.echo(f"yosinski: {what}; --classes tells another number", err=True)
    for half, ids in zip("AB", split_classes(split, classes)):
        chosen = of_classes(entries, ids)
        write_list(out / f"{half}.txt", chosen)
        md5, published = published_name(chosen)
        click.echo(f"{out / half}.txt: {len(chosen)} images, {len(ids)} classes, md5 {md5}, {_known(published)}")


@data.command()
@click.argument("folder", metavar="[DIR]", type=PATH, default=Path("data"))
@click.argument("datasets", metavar="[DATASET...]", nargs=-1)
@ORDER
@OF_ORDER
@click.option("--materialise", is_flag=True, help="Write real LMDBs, too, for other programs.")
@click.option("--means/--no-means", default=True, help="Mean images of all training parts, and of the whole.")
@click.option("--as-caffe", is_flag=True, help="Sum means as compute_image_mean does, with its rounding errors.")
@JOBS
def subsets(
    folder: Path,
    datasets: tuple[str, ...],
    order: Any,
    seed: int,
    materialise: bool,
    means: bool,
    as_caffe: bool,
    jobs: int | None,
) -> None:
    """Make the study's datasets in DIR, where `data prepare` put the whole: lists, indices over its LMDBs, means.

    DATASET is such as half0A, halfnatmanB or reduced0100; by default those of the study. An index reads in the order
    of the database that it stands for.
    """
    from caffe_compat.data.mean import compute_image_mean, write_mean
    from yosinski.dataset import subsets as made
    from yosinski.dataset.means import index_means
    from yosinski.progress import counting

    chosen = datasets or made.STUDY
    for part in ("train", "valid") if (folder / "valid.txt").exists() else ("train",):
        names = [name for name in chosen if part in made.parts_of(name)]
        entries = made.read_whole(folder, part)
        keys = made.record_keys(folder, part, entries)
        for name in names:
            published = made.write_subset(folder, name, part, entries, keys, order, seed)
            click.echo(f"{folder}/{name}_{part}.index: list {_known(published)}")
            if materialise:
                with counting(f"{name}_{part}_lmdb") as progress:
                    click.echo(made.materialise_subset(folder, name, part, progress))
    if not means:
        return
    indices = {name: folder / f"{name}_train.index" for name in chosen}
    with counting("means") as progress:
        if as_caffe:
            sources = {"whole": folder / "train_lmdb", **indices}
            found = {name: compute_image_mean(path, progress=progress) for name, path in sources.items()}
        else:
            found = index_means(folder / "train_lmdb", indices, jobs, progress)
    for name, mean in found.items():
        target = folder / ("mean.binaryproto" if name == "whole" else f"{name}_mean.binaryproto")
        write_mean(target, mean)
        click.echo(target)


@data.command()
@click.argument("root", type=PATH)
@click.argument("listfile", metavar="LIST", type=PATH)
@click.argument("target", metavar="DB", type=PATH)
@click.option("--backend", type=click.Choice(["lmdb", "leveldb"]), default="lmdb", show_default=True, help="Of the DB.")
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
