"""What a run needs before it can start, and the command that makes what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.definition import Input, inputs
from yosinski.net_names import base_of, is_name, parse_name
from yosinski.run_dir import RunDir
from yosinski.scales import SCALES


def check_inputs(prototxt: Path, net: Any) -> None:
    """See that everything that the layers of a NetParameter read is there; CaffeError names the first that is not."""
    missing = [need for need in inputs(net) if not need.path.exists()]
    if not missing:
        return
    first, more = missing[0], f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    raise CaffeError(f"{prototxt}: layer {first.layer!r} needs {first.path}{more}, not there; {remedy(first)}")


def remedy(need: Input) -> str:
    """How to make a database or mean file."""
    dataset = re.fullmatch(r"((half|reduced)\w+)_(train|valid|mean)\.(index|binaryproto)", need.path.name)
    if dataset:
        return f"make it: yosinski data subsets {need.path.parent} {dataset[1]}"
    if need.path.parent.match(SCALES["mini"].data):
        return f"make the demo's data: yosinski data demo {need.path.parent}"
    if need.path.name in ("train_lmdb", "valid_lmdb"):
        part = need.path.name.removesuffix("_lmdb")
        return f"make it: yosinski data prepare --{part} IMAGES --out {need.path.parent}"
    if need.is_mean:
        return f"make it from the training images: yosinski data mean DB {need.path}"
    if need.field == "data_param.source":
        return f"make it: yosinski data convert --resize 256x256 --shuffle FOLDER/ LIST {need.path}"
    return "--data-root goes in front of relative paths"


def find_base_weights(prototxt: Path, runs: Path, split: str | None = None) -> tuple[Path, ...]:
    """The final weights of the net that a transfer or selffer net starts from, trained in a sibling run directory.

    Nothing for other nets. CaffeError, with the command that trains the base, if its run has not finished.
    """
    if not is_name(prototxt.stem):
        return ()
    base = base_of(prototxt.stem, split)
    if base is None:
        return ()
    run = RunDir(runs / base)
    weights = run.newest_weights()
    if run.finished and weights is not None:
        return (weights,)
    definition = parse_name(base).name if split else base  # one definition serves every split
    option = f" --split {split}" if split else ""
    train = f"yosinski train {prototxt.with_stem(definition)}{option} --out {run.path}"
    raise CaffeError(f"{prototxt}: starts from the weights of {base}, not in {run.path} yet; train it: {train}")
