"""Caffe's tools as commands: extract_features, upgrade_*_proto_*, convert_imageset, compute_image_mean, draw_net."""

from __future__ import annotations

import click

from caffe_compat import glog
from caffe_compat.cli.brew import device_ids
from caffe_compat.cli.gflags import Program, argument, flag, program

BACKEND = click.Choice(["lmdb", "leveldb"])


def upgrader(kind: str, form: str) -> Program:
    """The tool that upgrades a definition of that kind in that form."""

    def upgrade(source: str, target: str) -> None:
        from caffe_compat.proto.upgrade.files import upgrade_file

        if not upgrade_file(kind, source, target, form):
            raise click.exceptions.Exit(1)

    upgrade.__doc__ = f"Upgrade a {kind} definition ({form}) of any age. Exits with 1 where something is lost."
    return program(f"upgrade_{kind}_proto_{form}", argument("source"), argument("target"))(upgrade)


@program(
    "convert_imageset",
    argument("rootfolder"),
    argument("listfile"),
    argument("db_name"),
    flag("gray", False, "Store one channel."),
    flag("shuffle", False, "Shuffle the list first."),
    flag("backend", "lmdb", "lmdb or leveldb.  [default: lmdb]", type=BACKEND),
    flag("resize_width", 0, "Warp images to this width, with --resize_height."),
    flag("resize_height", 0, "Warp images to this height."),
    flag("check_size", False, "Fail unless all images have one size."),
    flag("encoded", False, "Store compressed images."),
    flag("encode_type", "", "Store them as this: png, jpg..."),
)
def convert_imageset(
    rootfolder: str,
    listfile: str,
    db_name: str,
    backend: str,
    resize_width: int,
    resize_height: int,
    gray: bool,
    shuffle: bool,
    check_size: bool,
    encoded: bool,
    encode_type: str,
) -> None:
    """Write the images that LISTFILE names with their labels, below ROOTFOLDER, to a new database."""
    from caffe_compat.data import convert

    convert.convert_imageset(
        rootfolder,
        listfile,
        db_name,
        backend,
        shuffle=shuffle,
        gray=gray,
        # Caffe resizes only where both are given.
        resize=(resize_height, resize_width) if resize_height > 0 and resize_width > 0 else None,
        encoded=encoded,
        encode_type=encode_type,
        check_size=check_size,
    )


@program(
    "compute_image_mean",
    argument("input_db"),
    argument("output_file", required=False),
    flag("backend", "lmdb", "Not looked at: a database shows what it is.", type=BACKEND),
)
def compute_image_mean(input_db: str, output_file: str | None, backend: str) -> None:
    """Compute the mean image of a database and write it to a file."""
    from caffe_compat.data import mean

    values = mean.compute_image_mean(input_db, output_file)
    glog.info("compute_image_mean.cpp:114", f"Number of channels: {len(values)}")
    for line in mean.mean_value_lines(values):
        glog.info("compute_image_mean.cpp:119", line)


@program(
    "extract_features",
    argument("pretrained_net_param"),
    argument("feature_extraction_proto_file"),
    argument("blob_names"),
    argument("dataset_names"),
    argument("num_mini_batches", type=int),
    argument("db_type", type=BACKEND),
    argument("mode", type=click.Choice(["CPU", "GPU"]), default="CPU"),
    argument("device_id", type=int, default=0),
)
def extract_features(
    pretrained_net_param: str,
    feature_extraction_proto_file: str,
    blob_names: str,
    dataset_names: str,
    num_mini_batches: int,
    db_type: str,
    mode: str,
    device_id: int,
) -> None:
    """Write blobs of a net to databases, one for each; names are separated by commas."""
    from caffe_compat import tools

    if mode == "GPU":
        device = f"cuda:{device_ids(str(device_id))[0]}"
        glog.error("extract_features.cpp:52", "Using GPU")
        glog.error("extract_features.cpp:58", f"Using Device_id={device_id}")
    else:
        device = "cpu"
        glog.error("extract_features.cpp:62", "Using CPU")
    tools.extract_features(
        pretrained_net_param,
        feature_extraction_proto_file,
        blob_names.split(","),
        dataset_names.split(","),
        num_mini_batches,
        db_type,
        device,
    )


@program(
    "draw_net",
    argument("input_net_proto_file"),
    argument("output_image_file"),
    flag("rankdir", "LR", "Where the graph runs: LR, TB or BT.  [default: LR]"),
    flag("phase", "ALL", "Draw the layers of one phase.  [default: ALL]", type=click.Choice(["TRAIN", "TEST", "ALL"])),
)
def draw_net(input_net_proto_file: str, output_image_file: str, rankdir: str, phase: str) -> None:
    """Draw a net; the extension of the output says the format."""
    from caffe_compat.draw import draw_net_to_file
    from caffe_compat.proto import caffe_pb2, read_net

    net = read_net(input_net_proto_file)
    click.echo(f"Drawing net to {output_image_file}")
    draw_net_to_file(net, output_image_file, rankdir, None if phase == "ALL" else caffe_pb2.Phase.Value(phase))
