"""Upgrade a file, as Caffe's tools ``upgrade_net_proto_text``, ``..._binary`` and ``upgrade_solver_proto_text`` do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe_compat import glog
from caffe_compat.atomic import write_text
from caffe_compat.proto import binary, caffe_pb2, raw_blobs, text
from caffe_compat.proto.upgrade.net import net_needs_upgrade, upgrade_net
from caffe_compat.proto.upgrade.solver import solver_needs_upgrade, upgrade_solver

KINDS: dict[str, tuple[str, Callable[[Any], bool], Callable[[Any, str], bool]]] = {
    "net": ("NetParameter", net_needs_upgrade, upgrade_net),
    "solver": ("SolverParameter", solver_needs_upgrade, upgrade_solver),
}
BINARY_SUFFIXES = (".caffemodel", ".binaryproto")


def upgrade_file(kind: str, source: str | Path, target: str | Path, form: str | None = None) -> bool:
    """Write the upgraded ``source`` to ``target``; ``kind`` is "net" or "solver".

    ``form``, "text" or "binary", is that of both files; None: binary if the source's name ends in ``.caffemodel`` or
    ``.binaryproto``. Returns False if something was lost (the log names it). Raises CaffeError, with nothing written,
    if it cannot be upgraded.
    """
    name, needs_upgrade, upgrade = KINDS[kind]
    form = form or ("binary" if Path(source).suffix in BINARY_SUFFIXES else "text")
    tool = f"upgrade_{kind}_proto_{form}.cpp"
    shift = 1 if form == "binary" else 0  # that tool's source is a line shorter
    lossless = True
    message = _read(name, source, form)
    if needs_upgrade(message):
        lossless = upgrade(message, os.fspath(source))
        if not lossless:
            what = "prototxt" if form == "text" else "proto"
            glog.error(f"{tool}:{39 - shift}", f"Encountered error(s) while upgrading {what}; see details above.")
    else:
        glog.error(f"{tool}:{43 - shift}", f"File already in latest proto format: {os.fspath(source)}")
    if form == "text":
        write_text(target, text.format(message))
    else:
        binary.write(target, message)
    glog.info(f"{tool}:{49 - shift}", f"Wrote upgraded {name} {form} proto to {os.fspath(target)}")
    return lossless


def _read(name: str, source: str | Path, form: str) -> Any:
    if form == "text":
        return text.read(source, getattr(caffe_pb2, name))
    return binary.read(source, raw_blobs.message_class(name))
