"""Layers of random shapes and fields, for the tests of what runtimes make of them when they are exported."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
import onnx

from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

UNIFORM = 'filler { type: "uniform" min: -1 max: 1 }'
Made = tuple[dict[str, list[int]], str]  # shapes of the bottoms by name; the layer's parameters, and its further tops
rules: dict[str, Callable[[Random], Made]] = {}


def rule(make: Callable[[Random], Made]) -> Callable[[Random], Made]:
    """A function with the name of a layer type makes random layers of it."""
    rules[make.__name__] = make
    return make


def sizes(random: Random, least: int, most: int, largest: int = 5) -> list[int]:
    return [random.randint(1, largest) for _ in range(random.randint(least, most))]


def flag(random: Random) -> str:
    return random.choice(["true", "false"])


def axis_of(random: Random, shape: list[int], first: int = 0) -> tuple[int, int]:
    """An axis, and the same one counted from one end or the other."""
    axis = random.randint(first, len(shape) - 1)
    return axis, random.choice([axis, axis - len(shape)])


def number(random: Random, *special: float) -> float:
    """One of the special numbers, or any between -2 and 2."""
    return random.choice([*special, round(random.uniform(-2, 2), 2)])


def window(random: Random) -> Made:
    group, axis = random.randint(1, 3), random.randint(1, 2)
    space = [random.randint(4, 8) for _ in range(random.randint(1, 3))]
    shape = [*sizes(random, axis, axis, 3), group * random.randint(1, 2), *space]
    chosen = (
        f"axis: {random.choice([axis, axis - len(shape)])} group: {group} num_output: {group * random.randint(1, 3)} "
    )
    for field, least, most in (("kernel_size", 1, 3), ("stride", 1, 3), ("dilation", 1, 2), ("pad", 0, 2)):
        own = random.random() < 0.5  # one for each spatial axis
        chosen += "".join(f"{field}: {random.randint(least, most)} " for _ in (space if own else [0]))
    return {"x": shape}, f"convolution_param {{ {chosen} bias_term: {flag(random)} weight_{UNIFORM} bias_{UNIFORM} }}"


rules.update(Convolution=window, Deconvolution=window, Im2col=window)


@rule
def Pooling(random: Random) -> Made:
    pool = random.choice(["MAX", "AVE", "STOCHASTIC"])
    second = ' top: "mask"' if pool == "MAX" and random.random() < 0.4 else ""
    bottom = "positive" if pool == "STOCHASTIC" else "x"
    shape = [*sizes(random, 2, 2, 3), random.randint(1, 9), random.randint(1, 9)]
    if random.random() < 0.2:
        return {bottom: shape}, f"pooling_param {{ pool: {pool} global_pooling: true }}{second}"
    fields = f"pool: {pool} round_mode: {random.choice(['CEIL', 'FLOOR'])} "
    for side in "hw":
        kernel = random.randint(1, 4)
        pad = random.randint(0, kernel - 1) if pool != "STOCHASTIC" else 0
        fields += f"kernel_{side}: {kernel} stride_{side}: {random.randint(1, 4)} pad_{side}: {pad} "
    return {bottom: shape}, f"pooling_param {{ {fields} }}{second}"


@rule
def SPP(random: Random) -> Made:
    shape = sizes(random, 2, 2) + [random.randint(4, 12) for _ in range(2)]
    pool = random.choice(["MAX", "AVE"])
    return {"x": shape}, f"spp_param {{ pyramid_height: {random.randint(1, 3)} pool: {pool} }}"


@rule
def LRN(random: Random) -> Made:
    region, size = random.choice(["ACROSS_CHANNELS", "WITHIN_CHANNEL"]), random.choice([1, 3, 5, 7])
    fields = f"local_size: {size} alpha: {random.choice([1e-4, 0.5])} beta: {random.choice([0.75, 0.5, 1])} k: 2"
    return {"x": sizes(random, 4, 4, 7)}, f"lrn_param {{ {fields} norm_region: {region} }}"


@rule
def InnerProduct(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    _, axis = axis_of(random, shape)
    fields = f"num_output: 3 axis: {axis} transpose: {flag(random)} bias_term: {flag(random)}"
    return {"x": shape}, f"inner_product_param {{ {fields} weight_{UNIFORM} bias_{UNIFORM} }}"


@rule
def Crop(random: Random) -> Made:
    shape = sizes(random, 2, 5)
    axis, written = axis_of(random, shape)
    smaller = [random.randint(1, size) if i >= axis else size for i, size in enumerate(shape)]
    offsets = [random.randint(0, size - less) for size, less in zip(shape[axis:], smaller[axis:])]
    if random.random() < 0.3:
        offsets = [min(offsets)] * random.choice([0, 1])  # one for all axes, or none at all
    fields = " ".join(f"offset: {offset}" for offset in offsets)
    return {"x": shape, "reference": smaller}, f"crop_param {{ axis: {written} {fields} }}"


@rule
def Slice(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis, written = axis_of(random, shape)
    if random.random() < 0.3:  # equal parts
        tops = random.randint(1, 3)
        shape[axis] *= tops
        return {"x": shape}, f"slice_param {{ axis: {written} }}" + "".join(f' top: "y{i}"' for i in range(1, tops))
    points = sorted(random.sample(range(1, shape[axis]), random.randint(0, shape[axis] - 1)))
    fields = " ".join(f"slice_point: {point}" for point in points)
    return {"x": shape}, f"slice_param {{ axis: {written} {fields} }}" + "".join(f' top: "y{i}"' for i in points)


@rule
def Concat(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis, written = axis_of(random, shape)
    bottoms = {f"x{i}": [*shape] for i in range(random.randint(1, 3))}
    for bottom in bottoms.values():
        bottom[axis] = random.randint(1, 4)
    field = f"concat_dim: {axis}" if random.random() < 0.2 else f"axis: {written}"
    return bottoms, f"concat_param {{ {field} }}"


@rule
def Tile(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    return {"x": shape}, f"tile_param {{ axis: {axis_of(random, shape)[1]} tiles: {random.randint(1, 3)} }}"


@rule
def Flatten(random: Random) -> Made:
    shape = sizes(random, 1, 5)
    axis, written = axis_of(random, shape)
    _, end = axis_of(random, shape, axis)
    return {"x": shape}, f"flatten_param {{ axis: {written} end_axis: {end} }}"


@rule
def Reshape(random: Random) -> Made:
    shape = sizes(random, 2, 4)
    if random.random() < 0.5:
        dims = random.choice(["dim: -1", "dim: 0 dim: -1", "dim: 1 dim: 0 dim: -1", f"dim: -1 dim: {shape[-1]}"])
        return {"x": shape}, f"reshape_param {{ shape {{ {dims} }} }}"
    first = random.randint(0, len(shape))
    count = random.choice([-1, *range(len(shape) - first + 1)])
    dims = random.choice(
        ["dim: -1", "dim: 0", "dim: 1 dim: -1", "dim: 0 dim: 1", "dim: -1 dim: 1", "dim: 1 dim: 1", ""]
    )
    axis = random.choice([first, first - len(shape) - 1])
    return {"x": shape}, f"reshape_param {{ axis: {axis} num_axes: {count} shape {{ {dims} }} }}"


@rule
def Reduction(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    operation = random.choice(["SUM", "ASUM", "SUMSQ", "MEAN"])
    fields = f"operation: {operation} axis: {axis_of(random, shape)[1]} coeff: {number(random, 1, 0)}"
    return {"x": shape}, f"reduction_param {{ {fields} }}"


@rule
def Eltwise(random: Random) -> Made:
    shape, count = sizes(random, 1, 4), random.randint(2, 4)
    operation = random.choice(["PROD", "SUM", "MAX"])
    coeffs = [] if operation == "PROD" or random.random() < 0.4 else [number(random, 0, 1, -1) for _ in range(count)]
    fields = " ".join(f"coeff: {coeff}" for coeff in coeffs)
    return {f"x{i}": shape for i in range(count)}, f"eltwise_param {{ operation: {operation} {fields} }}"


@rule
def Scale(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis, written = axis_of(random, shape)
    bias = random.choice(["", f"bias_term: true bias_{UNIFORM}"])
    if random.random() < 0.5:
        count = random.choice([-1, *range(len(shape) - axis + 1)])
        return {"x": shape}, f"scale_param {{ axis: {written} num_axes: {count} {UNIFORM} {bias} }}"
    covered = shape[axis : random.randint(axis, len(shape))]
    return {"x": shape, "scale": covered}, f"scale_param {{ axis: {written} {bias} }}"


@rule
def Bias(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    axis, written = axis_of(random, shape)
    if random.random() < 0.5:
        count = random.choice([-1, *range(len(shape) - axis + 1)])
        return {"x": shape}, f"bias_param {{ axis: {written} num_axes: {count} {UNIFORM} }}"
    return {"x": shape, "bias": shape[axis : random.randint(axis, len(shape))]}, f"bias_param {{ axis: {written} }}"


@rule
def BatchNorm(random: Random) -> Made:
    return {"x": sizes(random, 1, 5)}, f"batch_norm_param {{ eps: {random.choice([1e-5, 0.1])} }}"


@rule
def MVN(random: Random) -> Made:
    fields = f"across_channels: {flag(random)} normalize_variance: {flag(random)} eps: 0.01"
    return {"x": sizes(random, 2, 5)}, f"mvn_param {{ {fields} }}"


@rule
def Softmax(random: Random) -> Made:
    shape = sizes(random, 1, 4)
    return {"x": shape}, f"softmax_param {{ axis: {axis_of(random, shape)[1]} }}"


@rule
def ArgMax(random: Random) -> Made:
    shape = sizes(random, 2, 4)
    axis, written = axis_of(random, shape, random.choice([0, 1]))
    placed = random.random() < 0.5
    count = random.randint(1, min(shape[axis] if placed else int(np.prod(shape[1:])), 12))
    place = f"axis: {written}" if placed else ""
    return {"x": shape}, f"argmax_param {{ top_k: {count} out_max_val: {flag(random)} {place} }}"


@rule
def Power(random: Random) -> Made:
    power = random.choice([0, 1, 2, 3, -1, 0.5, 2.3])
    return {"x": sizes(random, 1, 4)}, (
        f"power_param {{ power: {power} scale: {number(random, 0, 1)} shift: {number(random, 0, 1)} }}"
    )


def exponential(random: Random) -> Made:
    base, scale, shift = random.choice([-1, 2, 0.5, 10, 1.1]), number(random, 1, 0), number(random, 0, 1)
    return {"x": sizes(random, 1, 4)}, f"PARAM {{ base: {base} scale: {scale} shift: {shift} }}"


@rule
def Exp(random: Random) -> Made:
    bottoms, fields = exponential(random)
    return bottoms, fields.replace("PARAM", "exp_param")


@rule
def Log(random: Random) -> Made:
    bottoms, fields = exponential(random)
    return bottoms, fields.replace("PARAM", "log_param")


@rule
def ReLU(random: Random) -> Made:
    return {"x": sizes(random, 1, 5)}, f"relu_param {{ negative_slope: {number(random, 0, 1)} }}"


@rule
def PReLU(random: Random) -> Made:
    return {"x": sizes(random, 2, 5)}, f"prelu_param {{ channel_shared: {flag(random)} {UNIFORM} }}"


@rule
def ELU(random: Random) -> Made:
    return {"x": sizes(random, 1, 4)}, f"elu_param {{ alpha: {number(random, 0, 1)} }}"


@rule
def Swish(random: Random) -> Made:
    return {"x": sizes(random, 1, 4)}, f"swish_param {{ beta: {number(random, 0, 1)} }}"


@rule
def Clip(random: Random) -> Made:
    low, high = sorted(number(random) for _ in range(2))
    return {"x": sizes(random, 1, 4)}, f"clip_param {{ min: {low} max: {high} }}"


@rule
def Threshold(random: Random) -> Made:
    return {"x": sizes(random, 1, 4)}, f"threshold_param {{ threshold: {number(random, 0, 0.3)} }}"


def plain(random: Random) -> Made:
    return {"x": sizes(random, 1, 4)}, ""


rules.update(dict.fromkeys(("AbsVal", "BNLL", "Sigmoid", "TanH", "Dropout"), plain))


@rule
def Split(random: Random) -> Made:
    return {"x": sizes(random, 1, 4)}, "".join(f' top: "y{i}"' for i in range(random.randint(0, 2)))


@rule
def Embed(random: Random) -> Made:
    fields = f"num_output: {random.randint(1, 4)} input_dim: {random.randint(3, 6)} bias_term: {flag(random)}"
    return {"index": sizes(random, 1, 3)}, f"embed_param {{ {fields} weight_{UNIFORM} bias_{UNIFORM} }}"


@rule
def BatchReindex(random: Random) -> Made:
    return {"x": [random.randint(3, 5), *sizes(random, 0, 3)], "index": sizes(random, 1, 1)}, ""


@rule
def Filter(random: Random) -> Made:
    batch, count = random.randint(1, 5), random.randint(1, 3)
    bottoms = {f"x{i}": [batch, *sizes(random, 0, 3)] for i in range(count)}
    bottoms["selector"] = [batch, *random.choice([[], [1, 1, 1]])]
    return bottoms, "".join(f' top: "y{i}"' for i in range(1, count))


@rule
def Parameter(random: Random) -> Made:
    return {}, f"parameter_param {{ shape {{ {' '.join(f'dim: {size}' for size in sizes(random, 1, 4))} }} }}"


@rule
def LSTMUnit(random: Random) -> Made:
    batch, n = random.randint(1, 3), random.randint(1, 4)
    return {"cell": [1, batch, n], "gates": [1, batch, 4 * n], "cont": [1, batch]}, ' top: "hidden"'


def recurrent(states: int) -> Callable[[Random], Made]:
    def make(random: Random) -> Made:
        time, batch = random.randint(1, 4), random.randint(1, 3)
        bottoms = {"x": [time, batch, *sizes(random, 1, 3)], "cont": [time, batch]}
        if random.random() < 0.5:
            bottoms["static"] = [batch, *sizes(random, 1, 2)]
        exposed = [f"state{i}" for i in range(states)] if random.random() < 0.5 else []
        bottoms.update({name: [1, batch, 3] for name in exposed})
        fields = f"num_output: 3 weight_{UNIFORM} bias_{UNIFORM} expose_hidden: {str(bool(exposed)).lower()}"
        return bottoms, f"recurrent_param {{ {fields} }}" + "".join(f' top: "y{name}"' for name in exposed)

    return make


rules.update(LSTM=recurrent(2), RNN=recurrent(1))


class RandomLayer(NamedTuple):
    """A net of one layer, exported, with values for its inputs and what the net makes of them.

    The sizes that the model leaves open are larger in ``feed`` than in ``definition``.
    """

    definition: str
    model: onnx.ModelProto
    feed: dict[str, np.ndarray]
    tops: dict[str, np.ndarray]


def random_layer(kind: str, seed: int) -> RandomLayer:
    """A layer of a type. CaffeError if no layer has such fields."""
    random, draw = Random(f"{kind} {seed}"), np.random.default_rng(seed)
    bottoms, fields = rules[kind](random)
    definition = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {' '.join(f'dim: {size}' for size in shape)} }} }} }}\n"
        for name, shape in bottoms.items()
    )
    wires = " ".join(f'bottom: "{name}"' for name in bottoms)
    definition += f'layer {{ name: "layer" type: "{kind}" {wires} top: "y" {fields} }}'
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)
    if kind == "BatchNorm":
        mean, variance, factor = (blob.data for blob in net.params["layer"])
        mean[...], variance[...] = draw.normal(size=mean.shape), draw.random(variance.shape)
        factor[...] = random.choice([0, 1, 2.5])
    elif kind == "Parameter":
        net.params["layer"][0].data[...] = draw.normal(size=net.params["layer"][0].data.shape)
    model, feed = to_onnx(net), {}
    for value in model.graph.input:
        dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        # A free size grows, each by another number.
        shape = [size if isinstance(size, int) else old + 1 + len(size) for size, old in zip(dims, bottoms[value.name])]
        feed[value.name] = values(value.name, shape, draw)
    for name, shape in bottoms.items():
        given = feed[name] if name in feed else values(name, shape, draw)
        net.blobs[name].reshape(*given.shape)
        net.blobs[name].data[...] = given
    net.reshape()
    net.forward_layers()
    tops = {value.name: net.blobs[value.name].data.copy() for value in model.graph.output}
    return RandomLayer(definition, model, feed, tops)


def values(name: str, shape: list[int], draw: np.random.Generator) -> np.ndarray:
    """What suits an input of that name; many values are equal."""
    if name in ("cont", "selector"):
        return (draw.random(shape) > 0.3).astype(np.float32)
    if name == "index":
        return draw.integers(0, 3, shape).astype(np.float32)
    found = np.asarray(np.round(draw.normal(size=shape) * 2, 1), np.float32)
    return abs(found) if name == "positive" else found


def agree(layer: RandomLayer, found: dict[str, np.ndarray], tolerance: float = 1e-5) -> None:
    """Assert that a runtime's outputs are what the net computed."""
    for name, want in layer.tops.items():
        assert found[name].shape == want.shape, layer.definition
        scale = max(np.abs(want[np.isfinite(want)]).max(initial=0), 1e-3)
        np.testing.assert_allclose(found[name], want, rtol=tolerance, atol=tolerance * scale, err_msg=layer.definition)
