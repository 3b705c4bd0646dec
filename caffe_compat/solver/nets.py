"""Which nets a solver trains and tests, and in which NetState."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, read_net

TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass
class NetSource:
    """The definition of one net of a solver, its state filled in."""

    param: Any  # NetParameter
    path: str  # of its file, "" if it stands in the solver
    description: str  # where it comes from, in the words of Caffe's log
    line: int  # of solver.cpp, where Caffe logs that


def train_net(param: Any, source: str = "solver") -> NetSource:
    """The net that a SolverParameter trains. CaffeError unless exactly one of the four fields names it."""
    given = [field for field in TRAIN_FIELDS if param.HasField(field)]
    fields = ", ".join(TRAIN_FIELDS)
    if not given:
        raise CaffeError(f"{source}: SolverParameter must specify a train net using one of these fields: {fields}")
    if len(given) > 1:
        raise CaffeError(
            f"{source}: SolverParameter must not contain more than one of these fields specifying a train_net: "
            f"{fields}; it has {' and '.join(given)}"
        )
    field = given[0]
    value = getattr(param, field)
    if field == "net":
        net = NetSource(read_net(value), value, f"from net file: {value}", 102)
    elif field == "train_net":
        net = NetSource(read_net(value), value, f"from train_net file: {value}", 92)
    else:
        line = {"net_param": 97, "train_net_param": 88}[field]
        net = NetSource(_copy(value), "", f"specified in {field}.", line)
    _set_state(net.param, caffe_pb2.TRAIN, param.train_state)
    return net


def test_nets(param: Any, source: str = "solver") -> Iterator[NetSource]:
    """The nets that a SolverParameter tests, in order: test_net_param, test_net, then net_param or net.

    A generic net (net or net_param) serves for every test_iter that the others leave. CaffeError if the numbers of
    test_iter, test_state and test nets do not fit together, or if test_interval is missing.
    """
    own = len(param.test_net_param) + len(param.test_net)
    generic = param.HasField("net") or param.HasField("net_param")
    count = len(param.test_iter)
    if count < own or (count > own and not generic):
        raise CaffeError(f"{source}: test_iter must be specified for each test network; {count} for {own} test nets")
    if param.test_state and len(param.test_state) != count:
        raise CaffeError(
            f"{source}: test_state must be unspecified or specified once per test net; "
            f"{len(param.test_state)} for {count} test nets"
        )
    if count and param.test_interval <= 0:
        raise CaffeError(
            f"{source}: test_interval must be positive where there are test nets, not {param.test_interval}"
        )
    definitions = [("test_net_param", value) for value in param.test_net_param]
    definitions += [("test_net file", value) for value in param.test_net]
    if count > own:
        field = "net file" if param.HasField("net") else "net_param"
        definitions += [(field, param.net if param.HasField("net") else param.net_param)] * (count - own)
    for i, (field, value) in enumerate(definitions):
        path = value if field.endswith("file") else ""
        where = f"{field}: {path}" if path else field
        net = read_net(path) if path else _copy(value)
        _set_state(net, caffe_pb2.TEST, param.test_state[i] if param.test_state else None)
        yield NetSource(net, path, f"(#{i}) specified by {where}", 190)


def _copy(param: Any) -> Any:
    copy = type(param)()
    copy.CopyFrom(param)
    return copy


def _set_state(net: Any, phase: int, state: Any | None) -> None:
    """The phase, overruled by the net's own state, overruled by the solver's."""
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net.state)
    if state is not None:
        merged.MergeFrom(state)
    net.state.CopyFrom(merged)
