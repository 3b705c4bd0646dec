"""Prototxt files on the way to a run: which kind a file is, and the paths that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, read_net, read_solver
from caffe_compat.proto.text import parse
from yosinski.networks import of_split

# Fields that hold a path, by layer parameter; relative ones are what --data-root goes in front of.
PATHS = {
    "data_param": ("source",),
    "image_data_param": ("source",),
    "window_data_param": ("source",),
    "hdf5_data_param": ("source",),
    "transform_param": ("mean_file",),
}


def read_definition(path: Path) -> Any:
    """The NetParameter or SolverParameter in a prototxt, upgraded; its content tells which of the two it is.

    Raises CaffeError for a file that is neither; the error is of the kind that the parser got further with.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except IsADirectoryError:
        raise CaffeError(f"{path}: a folder; expected a prototxt") from None
    progress = {}
    for kind, read in ((caffe_pb2.SolverParameter, read_solver), (caffe_pb2.NetParameter, read_net)):
        try:
            parse(text, kind, source=str(path))
        except CaffeError as error:
            progress[kind] = (place_of(str(error), path), error)
        else:
            return read(path)
    raise max(progress.values(), key=lambda entry: entry[0])[1]


def place_of(message: str, path: Path) -> tuple[int, ...]:
    """Line and column that an error ``PATH:LINE:COLUMN: ...`` is about, as far as it names them."""
    parts = message.removeprefix(f"{path}:").split(":")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())


def is_solver(definition: Any) -> bool:
    return bool(definition.DESCRIPTOR.name == "SolverParameter")


def solver_for(net: Path) -> Path:
    """The study's solver beside a net definition."""
    solver = net.with_name("solver.prototxt")
    if not solver.is_file():
        raise CaffeError(f"{net}: no {solver.name} beside this net; --solver names another")
    return solver


@dataclass(frozen=True)
class Input:
    """A file or database that a net reads."""

    layer: str
    field: str  # such as data_param.source
    path: Path

    @property
    def is_mean(self) -> bool:
        return self.field.endswith("mean_file")


def inputs(net: Any) -> Iterator[Input]:
    """What the layers of a NetParameter read, each path once."""
    seen = set()
    for layer in net.layer:
        for param, field, value in _paths(layer):
            if value not in seen:
                seen.add(value)
                yield Input(layer.name, f"{param}.{field}", Path(value))


def set_data_root(net: Any, root: Path) -> None:
    """Put ``root`` in front of the relative paths of a NetParameter, in place."""
    for layer in net.layer:
        for param, field, value in _paths(layer):
            setattr(getattr(layer, param), field, str(root / value))  # an absolute value stays what it is


def set_split(net: Any, split: str) -> bool:
    """Let a NetParameter on unnamed halves A and B read those of a split, in place; False if it reads no halves."""
    found = False
    for layer in net.layer:
        for param, field, value in _paths(layer):
            name = of_split(Path(value).name, split)
            if name is not None:
                setattr(getattr(layer, param), field, str(Path(value).with_name(name)))
                found = True
    return found


def _paths(layer: Any) -> Iterator[tuple[str, str, str]]:
    for param, fields in PATHS.items():
        for field in fields:
            if layer.HasField(param) and getattr(layer, param).HasField(field):
                yield param, field, getattr(getattr(layer, param), field)
