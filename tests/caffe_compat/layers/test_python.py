"""Python layers: the calls that a user's class gets, its blobs and parameters, and how its mistakes are reported."""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import caffe_compat as caffe
from caffe_compat import glog
from caffe_compat import net as core
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text

LAYERS = '''
import caffe
import numpy as np


class Times(caffe.Layer):
    """top = factor * bottom, for each pair."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str or 10)
        self.calls = ["setup"]

    def reshape(self, bottom, top):
        self.calls.append("reshape")
        for one, other in zip(bottom, top):
            other.reshape(*one.data.shape)

    def forward(self, bottom, top):
        self.calls.append("forward")
        for one, other in zip(bottom, top):
            other.data[...] = self.factor * one.data

    def backward(self, top, propagate_down, bottom):
        self.propagated = list(propagate_down)
        for flag, one, other in zip(propagate_down, bottom, top):
            if flag:
                one.diff[...] = self.factor * other.diff


class Euclidean(caffe.Layer):
    """The loss of EuclideanLoss."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise ValueError("Need two inputs.")

    def reshape(self, bottom, top):
        self.difference = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.difference[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = (self.difference**2).sum() / bottom[0].num / 2

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if propagate_down[i]:
                bottom[i].diff[...] = (1 - 2 * i) * self.difference * top[0].diff[0] / bottom[i].num


class Offset(caffe.Layer):
    """top = bottom + a parameter of the bottom's columns."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = 0.5
        assert len(self.blobs) == 1

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(0)
        bottom[0].diff[...] = top[0].diff


class Counter(caffe.Layer):
    """Delivers 0, 1, 2, … in batches that grow by one."""

    def setup(self, bottom, top):
        self.size = 0

    def start(self, size):
        self.size = size

    def reshape(self, bottom, top):
        top[0].reshape(self.size + 1, 2)

    def forward(self, bottom, top):
        self.size += 1
        top[0].reshape(self.size, 2)
        top[0].data[...] = np.arange(self.size)[:, None]
        assert self.phase in (caffe.TRAIN, caffe.TEST)

    def backward(self, top, propagate_down, bottom):
        pass


class Idle(caffe.Layer):
    """A top that only others write."""

    def setup(self, bottom, top):
        top[0].reshape(3)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass


class Forgetful(caffe.Layer):
    def setup(self, bottom, top):
        pass


class InnerProduct(caffe.Layer):
    """InnerProduct with as many outputs as param_str_, the name of 2014, says."""

    def __init__(self, param, *args, **kwargs):
        super(InnerProduct, self).__init__(param, *args, **kwargs)
        self.own_name = param.name

    def setup(self, bottom, top):
        size = np.int64(self.param_str_)
        self.blobs.add_blob(size, bottom[0].channels)
        self.blobs.add_blob(size)

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, self.blobs[0].num)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.dot(self.blobs[0].data.T) + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.T.dot(bottom[0].data)
        self.blobs[1].diff[...] += top[0].diff.sum(0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff.dot(self.blobs[0].data)


class Keeper(caffe.Layer):
    """top = 2 * bottom, into an array that it has kept since its setup; no top at all in some nets."""

    def setup(self, bottom, top):
        self.sums = []
        if top:
            top[0].reshape(*bottom[0].shape)
            self.array = top[0].data

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.sums.append(float(bottom[0].data.sum()))
        if top:
            self.array[...] = 2 * bottom[0].data


class Shaped(caffe.Layer):
    """The shape is whatever param_str says."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*eval(self.param_str))

    def forward(self, bottom, top):
        pass


class Stops(caffe.Layer):
    def setup(self, bottom, top):
        raise StopIteration

    def reshape(self, bottom, top):
        pass


class NoLayer:
    pass
'''
numbers = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder that holds the layers above."""
    monkeypatch.chdir(tmp_path)
    name = f"user_layers_{next(numbers)}"
    Path(f"{name}.py").write_text(LAYERS)
    return name


def make(module: str, layers: str, kind: Callable = caffe.Net, phase: int = caffe.TRAIN) -> caffe.Net:
    """A net; ``python(CLASS)`` in the layers stands for their type and python_param."""
    layers = layers.replace("python(", f'type: "Python" python_param {{ module: "{module}" layer: "').replace(
        ")", '" }'
    )
    return kind(text.parse(layers, caffe_pb2.NetParameter), phase)


INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 } } }'
THREE = (
    f"force_backward: true {INPUT}"
    'layer { name: "one" bottom: "x" top: "one" python(Times) }'
    'layer { name: "two" bottom: "one" top: "two" python(Times) }'
    'layer { name: "three" bottom: "two" top: "three" python(Times) }'
)


def test_forward_goes_through_the_users_code(module: str) -> None:
    net = make(module, THREE)
    net.blobs["x"].data[...] = 8
    net.forward()
    assert net.blobs["three"].shape == (3, 4)
    assert (net.blobs["three"].data == 8000).all()
    net.blobs["x"].reshape(5, 2)
    net.blobs["x"].data[...] = 2
    net.forward()
    assert net.blobs["three"].shape == (5, 2)
    assert (net.blobs["three"].data == 2000).all()
    assert net.layers[1].calls == ["setup", "reshape", "reshape", "forward", "reshape", "forward"]


def test_backward_without_a_forward(module: str) -> None:
    net = make(module, THREE)
    net.blobs["three"].diff[...] = 7
    net.backward()
    assert (net.blobs["x"].diff == 7000).all()


def test_param_str_phase_and_type(module: str) -> None:
    layer = 'layer { name: "t" bottom: "x" top: "y" python(Times) }'.replace(
        "python(Times)", f'type: "Python" python_param {{ module: "{module}" layer: "Times" param_str: "2.5" }}'
    )
    net = make(module, INPUT + layer, phase=caffe.TEST)
    net.blobs["x"].data[...] = 2
    assert (net.forward()["y"] == 5).all()
    assert net.layers[1].type == "Python"
    assert net.layers[1].user.phase == caffe.TEST


LOSS = (
    'layer { name: "in" type: "Input" top: "x" top: "y" input_param { shape { dim: 3 dim: 4 } } }'
    'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 4 '
    'weight_filler { type: "xavier" } } }'
)


def test_a_loss_layer_trains_like_the_built_in_one(module: str) -> None:
    ours = make(module, LOSS + 'layer { name: "l" bottom: "ip" bottom: "y" top: "l" loss_weight: 2 python(Euclidean) }')
    built_in = make(
        module, LOSS + 'layer { name: "l" bottom: "ip" bottom: "y" top: "l" loss_weight: 2 type: "EuclideanLoss" }'
    )
    built_in.share_with(ours)
    generator = np.random.default_rng(0)
    for name in ("x", "y"):
        ours.blobs[name].data[...] = built_in.blobs[name].data[...] = generator.normal(size=(3, 4))
    losses = [float(net.forward_layers()) for net in (ours, built_in)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for net in (ours, built_in):
        net.backward()
    np.testing.assert_allclose(ours.params["ip"][0].diff, built_in.params["ip"][0].diff, rtol=1e-5, atol=1e-6)
    assert ours.blobs["y"].diff.max() == 0, "y is no blob that learns"


def test_propagate_down_says_what_is_wanted(module: str) -> None:
    net = make(module, LOSS + 'layer { name: "t" bottom: "ip" bottom: "y" top: "a" top: "b" python(Times) '
               'loss_weight: 1 loss_weight: 1 }')  # fmt: skip
    net.forward()
    net.backward()
    assert net.layers[2].propagated == [True, False]
    assert (net.blobs["ip"].diff == 10).all()


OFFSET = INPUT + 'layer { name: "off" bottom: "x" top: "y" loss_weight: 1 python(Offset) param { lr_mult: 3 } }'


def test_parameters(module: str, tmp_path: Path) -> None:
    net = make(module, OFFSET)
    assert net.params["off"][0].data.tolist() == [0.5] * 4
    assert [(p.layer, p.lr_mult) for p in net.learnable] == [("off", 3)]
    for passes in (1, 2):
        net.forward()
        net.backward()
        assert net.params["off"][0].diff.tolist() == [3 * passes] * 4, "diffs add up until they are cleared"
    net.clear_param_diffs()
    net.backward()
    assert net.layers[1].blobs[0].diff.tolist() == [3] * 4
    net.params["off"][0].data[...] = [1, 2, 3, 4]
    net.save(str(tmp_path / "w.caffemodel"))
    other = make(module, OFFSET)
    other.copy_from(str(tmp_path / "w.caffemodel"))
    assert (other.forward()["y"] == [1, 2, 3, 4]).all()
    third = make(module, OFFSET)
    third.share_with(net)
    net.params["off"][0].data[0] = 9
    assert third.forward()["y"][0, 0] == 9


def test_a_solver_updates_the_parameters(module: str) -> None:
    definition = OFFSET.replace(
        "python(Offset)", f'type: "Python" python_param {{ module: "{module}" layer: "Offset" }}'
    )
    Path("net.prototxt").write_text(definition)
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2')
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    np.testing.assert_allclose(solver.net.params["off"][0].data, 0.5 - 2 * 0.01 * 3 * 3, rtol=1e-6)


def with_string(module: str, layer: str, string: str) -> str:
    return f'type: "Python" python_param {{ module: "{module}" layer: "{layer}" param_str: "{string}" }}'


def test_several_with_rates_of_their_own_and_a_shared_parameter(module: str) -> None:
    """The same net as of InnerProducts: what each parameter learns, and what it shares."""
    nets = []
    for kind in ("Python", "InnerProduct"):
        layers = INPUT
        for name, bottom, params in (
            ("one", "x", "param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 0 }"),
            ("two", "one", 'param { name: "w" lr_mult: 2 } param { lr_mult: 5 }'),
            ("three", "one", 'loss_weight: 2 param { name: "w" lr_mult: 2 }'),
        ):
            own = 'type: "InnerProduct" inner_product_param { num_output: 4 }'
            layers += (
                f'layer {{ name: "{name}" bottom: "{bottom}" top: "{name}" {params} '
                f"{with_string(module, 'InnerProduct', '4') if kind == 'Python' else own} }}"
            )
        layers += 'layer { name: "sum" type: "Reduction" bottom: "two" top: "sum" loss_weight: 1 }'
        nets.append(make(module, layers))
    ours, built_in = nets
    assert [layer.own_name for layer in ours.layers if layer.type == "Python"] == ["one", "two", "three"]
    draw = np.random.default_rng(0)
    for name, blobs in ours.params.items():
        for i, blob in enumerate(blobs):
            blob.data[...] = draw.normal(size=blob.shape)
            built_in.params[name][i].data[...] = blob.data
    x = draw.normal(size=(3, 4))
    for net in nets:
        net.blobs["x"].data[...] = x
        for _ in range(2):
            net.forward()
            net.backward()
    assert [(p.layer, p.lr_mult, p.decay_mult) for p in ours.learnable] == [
        (p.layer, p.lr_mult, p.decay_mult) for p in built_in.learnable
    ]
    for one, other in zip(ours.learnable, built_in.learnable):
        if one.lr_mult:
            np.testing.assert_allclose(one.parameter.grad, other.parameter.grad, rtol=1e-4, atol=1e-5)


def test_an_array_kept_and_a_layer_without_top(module: str) -> None:
    net = make(
        module,
        f'{INPUT} layer {{ name: "a" bottom: "x" top: "y" python(Keeper) }}'
        'layer { name: "b" bottom: "y" python(Keeper) }',
    )
    for value in (1, 3):
        net.blobs["x"].data[...] = value
        net.forward()
        assert (net.blobs["y"].data == 2 * value).all()
    assert [layer.sums for layer in net.layers if layer.type == "Python"] == [[12, 36], [24, 72]]


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        ("[]", ()),
        ("np.r_[2:4]", (2, 3)),
        ("[0, 3]", (0, 3)),
        ("[3.0]", "TypeError: 'float' object cannot be interpreted as an integer"),
        ("[[3, 4]]", "TypeError: 'list' object cannot be interpreted as an integer"),
        ("[-1]", "CaffeError: a blob cannot have the shape [-1]; expected no negative sizes"),
        ("[1 << 20, 1 << 20]", "top 'y' has the shape [1048576, 1048576]"),
    ],
)
def test_shapes(module: str, shape: str, result: object) -> None:
    layer = f'layer {{ name: "s" top: "y" {with_string(module, "Shaped", shape)} }}'
    if isinstance(result, tuple):
        assert make(module, layer).blobs["y"].shape == result
        return
    with pytest.raises(CaffeError) as caught:
        make(module, layer)
    assert str(result) in str(caught.value)


def test_a_data_layer_whose_batches_grow(module: str) -> None:
    net = make(
        module,
        'layer { name: "data" top: "x" python(Counter) }'
        'layer { name: "sum" type: "Reduction" bottom: "x" top: "sum" reduction_param { axis: 1 } }',
    )
    assert net.blobs["sum"].shape == (1,)
    net.layers[0].start(3)  # its own method
    for size in (4, 5):
        assert net.forward()["sum"].tolist() == [2 * i for i in range(size)]


def test_what_others_write_into_a_top_stays(module: str) -> None:
    net = make(
        module, 'layer { name: "data" top: "x" python(Idle) } layer { name: "p" type: "Power" bottom: "x" top: "y" }'
    )
    net.blobs["x"].data[...] = 4
    net.forward()
    assert net.forward()["y"].tolist() == [4, 4, 4]


def test_in_place(module: str) -> None:
    net = make(
        module,
        f'force_backward: true {INPUT} layer {{ name: "r" type: "ReLU" bottom: "x" top: "r" }}'
        'layer { name: "t" bottom: "r" top: "r" python(Times) }',
    )
    net.blobs["x"].data[...] = [[-1, 2, -3, 4]] * 3
    for _ in range(2):
        net.forward()
        assert net.blobs["r"].data[0].tolist() == [0, 20, 0, 40]
        net.blobs["r"].diff[...] = 1
        net.backward()
        assert net.blobs["x"].diff[0].tolist() == [0, 10, 0, 10]


def test_double_precision_and_autograd(module: str) -> None:
    net = make(module, THREE, core.Net).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    first, second = net(x=x)["three"], net(x=2 * x)["three"]
    (first**2 + second).sum().backward()
    torch.testing.assert_close(first, 1000 * x)
    torch.testing.assert_close(x.grad, 2 * 1000**2 * x + 2000)


def test_nothing_of_the_folder_stays_on_the_path(module: str, tmp_path: Path) -> None:
    before = list(sys.path)
    make(module, THREE)
    assert sys.path == before


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ('type: "Python"', "python_param: module and layer, the names of a Python module and "),
        ("python(Missing)", "python_param.layer: 'Missing' in "),
        ("python(NoLayer)", "python_param.layer: 'NoLayer' in "),
        ("python(Euclidean)", "Euclidean.setup: ValueError: Need two inputs. ("),
        ("python(Stops)", "Stops.setup: StopIteration ("),
        ('type: "Python" python_param { module: ".above" layer: "X" }',
         "python_param.module: '.above' is neither in the current folder nor on PYTHONPATH"),
        ("python(Forgetful)", "Forgetful.reshape: NotImplementedError: a Python layer needs reshape(self, "),
        ('type: "Python" python_param { module: "nowhere_at_all" layer: "X" }',
         "python_param.module: 'nowhere_at_all' is neither in the current folder nor on PYTHONPATH"),
        ('type: "Python" python_param { module: "broken_layers" layer: "X" }',
         "import broken_layers: SyntaxError: "),
    ],
)  # fmt: skip
def test_mistakes_at_set_up(module: str, layer: str, words: str) -> None:
    Path("broken_layers.py").write_text("class X(:\n")
    with pytest.raises(CaffeError) as caught:
        make(module, f'{INPUT} layer {{ name: "user" bottom: "x" top: "y" {layer} }}')
    assert str(caught.value).startswith(f"layer 'user': {words}")
    assert "\n" not in str(caught.value)


def test_mistakes_later_name_layer_and_line(module: str) -> None:
    net = make(module, INPUT + 'layer { name: "user" bottom: "x" top: "y" python(Times) }')
    net.layers[1].user.factor = "many"
    log = io.StringIO()
    handler = glog.attach(log)
    with pytest.raises(RuntimeError) as caught:  # what pycaffe raises for what goes wrong in C++
        net.forward()
    glog.detach(handler)
    line = next(i for i, line in enumerate(LAYERS.splitlines(), 1) if "self.factor * one.data" in line)
    assert str(caught.value).startswith("layer 'user': Times.forward: ")
    assert str(caught.value).endswith(f"{module}.py:{line})")
    assert caught.value.__cause__ is not None
    first, second, third, *_ = log.getvalue().splitlines()
    assert first.endswith(" python_layer] user: Times.forward failed")
    assert second == "Traceback (most recent call last):"
    assert third.endswith(f'{module}.py", line {line}, in forward'), "the user's first frame"


def test_no_backward_is_fine_until_it_is_needed(module: str) -> None:
    net = make(module, LOSS + 'layer { name: "user" bottom: "ip" top: "l" loss_weight: 1 python(Idle) }')
    net.forward()
    with pytest.raises(CaffeError, match=r"layer 'user': Idle.backward: .*needs backward\(self, top, propagate_down"):
        net.backward()
