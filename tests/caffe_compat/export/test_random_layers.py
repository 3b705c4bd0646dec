"""Layers of random shapes and fields: what ONNX Runtime computes is what PyTorch computes, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import onnxruntime
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

UNIFORM = 'filler { type: "uniform" min: -1 max: 1 }'
Made = tuple[dict[str, list[int]], str]  # shapes of the bottoms by name, and the layer's parameters
rules: dict[str, Callable[[Random], Made]] = {}


def rule(make: Callable[[Random], Made]) -> Callable[[Random], Made]:
    """A function with the name of a layer type makes random layers of it."""
    rules[make.__name__] = make
    return make


def sizes(random: Random, least: int, most: int, largest: int = 5) -> list[int]:
    return [random.randint(1, largest) for _ in range(random.randint(least, most))]


def flag(random: Random) -> str:
    return random.choice(["true", "false"])


def window(random: Random) -> Made:
    group, axis = random.randint(1, 3), random.randint(1, 2)
    space = [random.randint(4, 8) for _ in range(random.randint(1, 3))]
    shape = [*sizes(random, axis, axis, 3), group * random.randint(1, 2), *space]
    fields = {"kernel_size": 3, "stride": 3, "dilation": 2}
    chosen = " ".join(f"{field}: {random.randint(1, most)}" for field, most in fields.items())
    chosen += f" axis: {axis} pad: {random.randint(0, 2)} group: {group} num_output: {group * 2}"
    return {"x": shape}, f"convolution_param {{ {chosen} bias_term: {flag(random)} weight_{UNIFORM} bias_{UNIFORM} }}"


rules.update(Convolution=window, Deconvolution=window, Im2col=window)


@rule
def Crop(random: Random) -> Made:
    shape = sizes(random, 2, 5)
    axis = random.randint(0, len(shape) - 1)
    smaller = [random.randint(1, size) if i >= axis else size for i, size in enumerate(shape)]
    offsets = [random.randint(0, size - less) for size, less in zip(shape[axis:], smaller[axis:])]
    fields = " ".join(f"offset: {offset}" for offset in offsets)
    return {"x": shape, "reference": smaller}, f"crop_param {{ axis: {axis - len(shape)} {fields} }}"


@rule
def Slice(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis = random.randint(0, len(shape) - 1)
    points = sorted(random.sample(range(1, shape[axis]), random.randint(0, shape[axis] - 1)))
    fields = " ".join(f"slice_point: {point}" for point in points)
    return {"x": shape}, f"slice_param {{ axis: {axis} {fields} }} " + "".join(f'top: "y{i}" ' for i in points)


@rule
def Reduction(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis, operation = random.randint(-len(shape), len(shape) - 1), random.choice(["SUM", "ASUM", "SUMSQ", "MEAN"])
    return {"x": shape}, f"reduction_param {{ operation: {operation} axis: {axis} coeff: {random.choice([1, -2])} }}"


@rule
def Scale(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis = random.randint(0, len(shape) - 1)
    bias = random.choice(["", f"bias_term: true bias_{UNIFORM}"])
    if random.random() < 0.5:
        count = random.choice([-1, *range(len(shape) - axis + 1)])
        return {"x": shape}, f"scale_param {{ axis: {axis} num_axes: {count} {UNIFORM} {bias} }}"
    covered = shape[axis : random.randint(axis + 1, len(shape))]
    return {"x": shape, "scale": covered}, f"scale_param {{ axis: {axis} {bias} }}"


@rule
def Bias(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis = random.randint(0, len(shape) - 1)
    count = random.choice([-1, *range(len(shape) - axis + 1)])
    return {"x": shape}, f"bias_param {{ axis: {axis} num_axes: {count} {UNIFORM} }}"


@rule
def SPP(random: Random) -> Made:
    shape = sizes(random, 2, 2) + [random.randint(4, 12) for _ in range(2)]
    pool = random.choice(["MAX", "AVE"])
    return {"x": shape}, f"spp_param {{ pyramid_height: {random.randint(1, 3)} pool: {pool} }}"


@rule
def Power(random: Random) -> Made:
    power, scale, shift = (random.choice(values) for values in ([0, 1, 2, 3, -1, 0.5], [0, 1, -0.3], [0, 1, -0.7]))
    return {"x": sizes(random, 1, 4)}, f"power_param {{ power: {power} scale: {scale} shift: {shift} }}"


@rule
def Reshape(random: Random) -> Made:
    shape = sizes(random, 2, 4)
    dims = random.choice(["dim: -1", "dim: 0 dim: -1", "dim: 1 dim: 0 dim: -1", f"dim: -1 dim: {shape[-1]}"])
    return {"x": shape}, f"reshape_param {{ shape {{ {dims} }} }}"


@rule
def MVN(random: Random) -> Made:
    fields = f"across_channels: {flag(random)} normalize_variance: {flag(random)} eps: 0.01"
    return {"x": sizes(random, 2, 5)}, f"mvn_param {{ {fields} }}"


@rule
def ArgMax(random: Random) -> Made:
    shape = sizes(random, 2, 4)
    axis = random.randint(1, len(shape) - 1)
    count = random.randint(1, shape[axis])
    place = random.choice(["", f"axis: {axis}"])
    return {"x": shape}, f"argmax_param {{ top_k: {count} out_max_val: {flag(random)} {place} }}"


@rule
def LRN(random: Random) -> Made:
    region, size = random.choice(["ACROSS_CHANNELS", "WITHIN_CHANNEL"]), random.choice([1, 3, 5, 7])
    return {"x": sizes(random, 4, 4, 7)}, f"lrn_param {{ local_size: {size} alpha: 0.5 k: 2 norm_region: {region} }}"


@rule
def InnerProduct(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis = random.randint(-len(shape), len(shape) - 1)
    fields = f"num_output: 3 axis: {axis} transpose: {flag(random)} bias_term: {flag(random)}"
    return {"x": shape}, f"inner_product_param {{ {fields} weight_{UNIFORM} bias_{UNIFORM} }}"


def recurrent(random: Random) -> Made:
    time, batch = random.randint(1, 4), random.randint(1, 3)
    bottoms = {"x": [time, batch, *sizes(random, 1, 2)], "cont": [time, batch]}
    if random.random() < 0.5:
        bottoms["static"] = [batch, *sizes(random, 1, 2)]
    return bottoms, f"recurrent_param {{ num_output: 3 weight_{UNIFORM} bias_{UNIFORM} }}"


rules.update(LSTM=recurrent, RNN=recurrent)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", rules)
def test_random_layer(kind: str, seed: int) -> None:
    random, values = Random(f"{kind} {seed}"), np.random.default_rng(seed)
    bottoms, fields = rules[kind](random)
    definition = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {' '.join(f'dim: {size}' for size in shape)} }} }} }}\n"
        for name, shape in bottoms.items()
    )
    wires = " ".join(f'bottom: "{name}"' for name in bottoms)
    definition += f'layer {{ name: "layer" type: "{kind}" {wires} top: "y" {fields} }}'
    try:
        net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)
    except CaffeError:
        pytest.skip("no layer has such fields")
    model = to_onnx(net)
    feed = {}
    for value in model.graph.input:
        dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        # A free size grows, each by another number.
        shape = [size if isinstance(size, int) else old + 1 + len(size) for size, old in zip(dims, bottoms[value.name])]
        drawn = values.normal(size=shape) if value.name != "cont" else values.random(shape) > 0.3
        feed[value.name] = np.round(drawn * 2, 1).astype(np.float32).clip(-9, 1 if value.name == "cont" else 9)
        net.blobs[value.name].reshape(*shape)
        net.blobs[value.name].data[...] = feed[value.name]
    net.reshape()
    net.forward_layers()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for output, top in zip(model.graph.output, session.run(None, feed)):
        want = net.blobs[output.name].data
        assert top.shape == want.shape
        scale = max(np.abs(want[np.isfinite(want)]).max(initial=0), 1e-3)
        np.testing.assert_allclose(top, want, rtol=1e-5, atol=1e-5 * scale, err_msg=definition)
