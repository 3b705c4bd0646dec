"""CaffeNet, five convolutional and three fully connected layers, written out as prototxt text.

The order is CaffeNet's, not AlexNet's: conv, relu, pool, norm. Fillers, biases and multipliers are those that all
170 training definitions of the 2014 study share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent

POOLED = (1, 2, 5)  # layers with a max pooling behind their ReLU
NORMALIZED = (1, 2)  # and with an LRN behind the pooling
DROPPED = (6, 7)  # layers with a dropout behind their ReLU


@dataclass(frozen=True)
class Conv:
    """A convolution of square kernels; ``std`` and ``bias`` are its initial values: N(0, std^2) and a constant."""

    num_output: int
    kernel_size: int
    std: float
    bias: int
    pad: int = 0
    stride: int = 1
    group: int = 1


@dataclass(frozen=True)
class Fc:
    """A fully connected layer; ``std`` and ``bias`` as in `Conv`."""

    num_output: int
    std: float
    bias: int


@dataclass(frozen=True)
class CaffeNet:
    """One size of the net: eight layers, and images of ``channels`` x ``crop`` x ``crop`` in batches."""

    channels: int
    crop: int
    train_batch: int
    test_batch: int
    layers: tuple[Conv | Fc, ...]


FULL = CaffeNet(
    channels=3,
    crop=227,
    train_batch=256,
    test_batch=50,
    layers=(
        Conv(96, kernel_size=11, stride=4, std=0.01, bias=0),
        Conv(256, kernel_size=5, pad=2, group=2, std=0.01, bias=1),
        Conv(384, kernel_size=3, pad=1, std=0.01, bias=0),
        Conv(384, kernel_size=3, pad=1, group=2, std=0.01, bias=1),
        Conv(256, kernel_size=3, pad=1, group=2, std=0.01, bias=1),
        Fc(4096, std=0.005, bias=1),
        Fc(4096, std=0.005, bias=1),
        Fc(1000, std=0.01, bias=0),
    ),
)

# The same net for 28x28 images. It has fewer inputs a neuron, hence wider stds for the same spread of activations.
MINI = CaffeNet(
    channels=1,
    crop=24,
    train_batch=64,
    test_batch=50,
    layers=(
        Conv(16, kernel_size=5, pad=2, std=0.004, bias=0),
        Conv(32, kernel_size=5, pad=2, group=2, std=0.05, bias=1),
        Conv(48, kernel_size=3, pad=1, std=0.06, bias=0),
        Conv(48, kernel_size=3, pad=1, group=2, std=0.08, bias=1),
        Conv(32, kernel_size=3, pad=1, group=2, std=0.08, bias=1),
        Fc(128, std=0.05, bias=1),
        Fc(128, std=0.06, bias=1),
        Fc(10, std=0.01, bias=0),
    ),
)


def train_val(net: CaffeNet) -> str:
    """The definition for training and testing, in one text, of the net that learns all its layers from scratch.

    It names no databases and no mean; `yosinski.transplant` turns it into the study's other nets.
    """
    return "\n".join(
        [
            data_layer("TRAIN", net.train_batch, net.crop, mirror=True),
            data_layer("TEST", net.test_batch, net.crop, mirror=False),
            *eight_layers(net, learns=True),
            layer_block("accuracy", "Accuracy", ["fc8", "label"], ["accuracy"], block("include", "phase: TEST")),
            layer_block("loss", "SoftmaxWithLoss", ["fc8", "label"], ["loss"]),
        ]
    )


def deploy(net: CaffeNet) -> str:
    """The same net for use: one image in ``data``, probabilities out of ``prob``."""
    shape = block("shape", *(f"dim: {dim}" for dim in (1, net.channels, net.crop, net.crop)))
    return "\n".join(
        [
            layer_block("data", "Input", [], ["data"], block("input_param", shape)),
            *eight_layers(net, learns=False),
            layer_block("prob", "Softmax", ["fc8"], ["prob"]),
        ]
    )


def eight_layers(net: CaffeNet, *, learns: bool) -> Iterator[str]:
    """The layers from conv1 to fc8, each with its ReLU, pooling, LRN and dropout.

    Those that do not learn are for use only: no fillers, no multipliers.
    """
    bottom = "data"
    for number, layer in enumerate(net.layers, start=1):
        mults = MULTIPLIERS if learns else []
        fill = fillers(layer) if learns else []
        if isinstance(layer, Conv):
            top, kind = f"conv{number}", "Convolution"
            param = block("convolution_param", *geometry(layer), *fill)
        else:
            top, kind = f"fc{number}", "InnerProduct"
            param = block("inner_product_param", f"num_output: {layer.num_output}", *fill)
        yield layer_block(top, kind, [bottom], [top], *mults, param)
        if number < len(net.layers):
            yield layer_block(f"relu{number}", "ReLU", [top], [top])
        bottom = top
        if number in POOLED:
            pooling = block("pooling_param", "pool: MAX", "kernel_size: 3", "stride: 2")
            yield layer_block(f"pool{number}", "Pooling", [bottom], [f"pool{number}"], pooling)
            bottom = f"pool{number}"
        if number in NORMALIZED:
            lrn = block("lrn_param", "local_size: 5", "alpha: 0.0001", "beta: 0.75")
            yield layer_block(f"norm{number}", "LRN", [bottom], [f"norm{number}"], lrn)
            bottom = f"norm{number}"
        if number in DROPPED:
            yield layer_block(f"drop{number}", "Dropout", [top], [top], block("dropout_param", "dropout_ratio: 0.5"))


def fillers(layer: Conv | Fc) -> list[str]:
    return [
        block("weight_filler", 'type: "gaussian"', f"std: {layer.std}"),
        block("bias_filler", 'type: "constant"', f"value: {layer.bias}"),
    ]


def geometry(layer: Conv) -> list[str]:
    """The fields of a ConvolutionParameter that say its shape; those at their default are left out."""
    fields = {
        "num_output": (layer.num_output, None),
        "pad": (layer.pad, 0),
        "kernel_size": (layer.kernel_size, None),
        "group": (layer.group, 1),
        "stride": (layer.stride, 1),
    }
    return [f"{field}: {value}" for field, (value, default) in fields.items() if value != default]


def data_layer(phase: str, batch: int, crop: int, *, mirror: bool) -> str:
    transform = block("transform_param", f"mirror: {str(mirror).lower()}", f"crop_size: {crop}")
    data = block("data_param", f"batch_size: {batch}", "backend: LMDB")
    return layer_block("data", "Data", [], ["data", "label"], block("include", f"phase: {phase}"), transform, data)


def layer_block(name: str, kind: str, bottoms: list[str], tops: list[str], *params: str) -> str:
    ends = [f'bottom: "{bottom}"' for bottom in bottoms] + [f'top: "{top}"' for top in tops]
    return block("layer", f'name: "{name}"', f'type: "{kind}"', *ends, *params)


def block(head: str, *lines: str) -> str:
    """``head { ... }`` around lines, which may be blocks themselves, indented by two spaces."""
    inside = indent("\n".join(lines), "  ")
    return f"{head} {{\n{inside}\n}}"


# Weights learn at rate 1 and decay, biases at rate 2 and do not.
MULTIPLIERS = [block("param", f"lr_mult: {lr}", f"decay_mult: {decay}") for lr, decay in ((1, 1), (2, 0))]
