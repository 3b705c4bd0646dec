"""Which nets a solver builds, and what it says when its definition does not add up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver
from caffe_compat.solver.nets import test_nets as nets_to_test
from caffe_compat.solver.nets import train_net

Tiny = Callable[..., Solver]
BASE = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 4 '


def parse(fields: str) -> object:
    return prototxt.parse(fields, caffe_pb2.SolverParameter)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three nets that are told apart by their names."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        layer = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
        (tmp_path / f"{name}.prototxt").write_text(f'name: "{name}" {layer}')
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "name", "description"),
    [
        ('net: "a.prototxt"', "a", "from net file: a.prototxt"),
        ('train_net: "b.prototxt"', "b", "from train_net file: b.prototxt"),
        ('net_param { name: "n" }', "n", "specified in net_param."),
        ('train_net_param { name: "t" }', "t", "specified in train_net_param."),
    ],
)
def test_train_net(folder: Path, fields: str, name: str, description: str) -> None:
    net = train_net(parse(fields))
    assert (net.param.name, net.param.state.phase, net.description) == (name, caffe_pb2.TRAIN, description)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ('net: "a.prototxt"', []),
        ('net: "a.prototxt" test_iter: 1 test_iter: 2', ["a", "a"]),
        ('train_net: "a.prototxt" test_net: "b.prototxt" test_net: "c.prototxt" test_iter: 1 test_iter: 2', ["b", "c"]),
        ('net: "a.prototxt" test_net: "b.prototxt" test_iter: 1 test_iter: 2', ["b", "a"]),
        (
            'net_param { name: "n" } test_net: "b.prototxt" test_net_param { name: "t" } '
            "test_iter: 1 test_iter: 2 test_iter: 3",
            ["t", "b", "n"],
        ),
    ],
)
def test_order_of_test_nets(folder: Path, fields: str, names: list[str]) -> None:
    nets = list(nets_to_test(parse(f"{fields} test_interval: 5")))
    assert [net.param.name for net in nets] == names
    assert all(net.param.state.phase == caffe_pb2.TEST for net in nets)
    assert [net.description.partition(" ")[0] for net in nets] == [f"(#{i})" for i in range(len(names))]


def test_states_are_merged(folder: Path) -> None:
    """The solver's state wins over the net's, which wins over the phase; stages add up."""
    fields = parse(
        'net_param { state { level: 2 stage: "mine" } } train_state { level: 3 stage: "train" } '
        'test_iter: 1 test_iter: 1 test_interval: 1 test_state { stage: "one" } test_state { level: 7 }'
    )
    train, (one, two) = train_net(fields).param.state, [net.param.state for net in nets_to_test(fields)]
    assert (train.phase, train.level, list(train.stage)) == (caffe_pb2.TRAIN, 3, ["mine", "train"])
    assert (one.phase, one.level, list(one.stage)) == (caffe_pb2.TEST, 2, ["mine", "one"])
    assert (two.phase, two.level, list(two.stage)) == (caffe_pb2.TEST, 7, ["mine"])


NETS = "net, net_param, train_net, train_net_param"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("", f"SolverParameter must specify a train net using one of these fields: {NETS}"),
        (
            'net: "a.prototxt" train_net: "b.prototxt"',
            f"SolverParameter must not contain more than one of these fields specifying a train_net: {NETS}; "
            "it has net and train_net",
        ),
        (
            'train_net: "a.prototxt" test_net: "b.prototxt"',
            "test_iter must be specified for each test network; 0 for 1 test nets",
        ),
        (
            'train_net: "a.prototxt" test_iter: 1',
            "test_iter must be specified for each test network; 1 for 0 test nets",
        ),
        (
            'net: "a.prototxt" test_iter: 1 test_interval: 1 test_state {} test_state {}',
            "test_state must be unspecified or specified once per test net; 2 for 1 test nets",
        ),
        ('net: "a.prototxt" test_iter: 1', "test_interval must be positive where there are test nets, not 0"),
        ('net: "a.prototxt" average_loss: 0', "average_loss should be at least 1; it is 0"),
        ('net: "a.prototxt" iter_size: 0', "iter_size should be at least 1; it is 0"),
        ('net: "a.prototxt" lr_policy: "stairs"', "Unknown learning rate policy: 'stairs'; known: fixed, step"),
        ('net: "a.prototxt" type: "Magic"', "Unknown solver type: 'Magic'; known: AdaDelta, AdaGrad"),
        ('net: "a.prototxt" lr_policy: "step" gamma: 0.1', "lr_policy 'step' needs stepsize > 0, not 0"),
    ],
)
def test_definitions_that_do_not_add_up(folder: Path, fields: str, words: str) -> None:
    Path("s.prototxt").write_text(BASE + fields if "lr_policy" not in fields else f"base_lr: 1 {fields}")
    with pytest.raises(CaffeError) as caught:
        Solver("s.prototxt")
    assert str(caught.value).startswith(f"s.prototxt: {words}")
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_net_is_placed(folder: Path) -> None:
    """File, line and layer, though the solver hands the net over as a message."""
    Path("bad.prototxt").write_text('name: "bad"\nlayer { name: "odd" type: "Konvolution" top: "x" }\n')
    Path("s.prototxt").write_text(BASE + 'net: "bad.prototxt"')
    with pytest.raises(CaffeError, match=r"^bad\.prototxt:2: layer 'odd': unknown layer type 'Konvolution'"):
        Solver("s.prototxt")


def test_old_nets_inside_a_solver_are_upgraded(folder: Path) -> None:
    """As in the one file that LeNet's whole training was written in; Caffe 1.0 trains such a net without its layers."""
    layers = (
        'layers { name: "x" type: DUMMY_DATA top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } } '
        'layers { name: "ip" type: INNER_PRODUCT bottom: "x" top: "y" inner_product_param { num_output: 4 } }'
    )
    (folder / "solver.prototxt").write_text(
        f"{BASE} solver_mode: CPU net_param {{ {layers} }} test_iter: 1 test_interval: 9 test_net_param {{ {layers} }}"
    )
    solver = Solver(folder / "solver.prototxt")
    assert [layer.type for net in (solver.net, *solver.test_nets) for layer in net.layers] == [
        "DummyData",
        "InnerProduct",
    ] * 2


def test_a_missing_net(folder: Path) -> None:
    Path("s.prototxt").write_text(BASE + 'net: "none.prototxt"')
    with pytest.raises(CaffeError, match=r"^none\.prototxt: [^\n]+$"):
        Solver("s.prototxt")


def test_weights_of_the_solver_go_into_all_nets(tiny: Tiny) -> None:
    """A list, separated by commas; later files win."""
    first, second = tiny(), tiny("random_seed: 8")
    first.iter, second.iter = 1, 2
    first.snapshot()
    second.snapshot()
    names = "snap_iter_1.caffemodel, snap_iter_2.caffemodel"
    solver = tiny(f'weights: "{names}" test_iter: 1 test_interval: 5')
    for net in (solver.net, solver.test_nets[0]):
        np.testing.assert_array_equal(net.params["fc1"][0].data, second.net.params["fc1"][0].data)


def test_a_seed_fixes_everything(tiny: Tiny) -> None:
    runs = []
    for _ in range(2):
        solver = tiny()
        solver.step(3)
        runs.append(solver.net.params["fc1"][0].data.copy())
    np.testing.assert_array_equal(*runs)
    other = tiny("random_seed: 8")
    other.step(3)
    assert not np.array_equal(other.net.params["fc1"][0].data, runs[0])
