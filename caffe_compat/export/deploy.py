"""From a definition for training and testing to one for use: images in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.layers.registry import layer_class
from caffe_compat.proto import caffe_pb2, filter_net

DATA = ("Data", "DummyData", "HDF5Data", "ImageData", "MemoryData", "Python", "WindowData")
TRAINING_FIELDS = ("include", "exclude", "phase", "loss_weight", "propagate_down", "blobs")


def layers_in_test(net: Any) -> list[Any]:
    """The LayerParameters that are in a net in phase TEST."""
    state = caffe_pb2.NetState()
    state.CopyFrom(net.state)
    state.phase = caffe_pb2.TEST
    return list(filter_net(net, state).layer)


def is_data(layer: Any) -> bool:
    """Whether a LayerParameter is that of a layer which brings images, and labels, from somewhere."""
    return layer.type in DATA and not layer.bottom


def is_deploy(net: Any) -> bool:
    """Whether a NetParameter is for use as it is: without data layers, losses and Accuracy in phase TEST."""
    return not any(is_data(layer) or _judges(layer) for layer in layers_in_test(net))


def to_deploy(net: Any, input_shape: Sequence[int]) -> Any:
    """A copy of an up-to-date NetParameter for use, with the layers of phase TEST.

    Data layers become Input layers of ``input_shape``, such as (1, 3, 227, 227). Losses, Accuracy, Silence and
    HDF5Output go, and so do the tops that nothing else reads: the labels. SoftmaxWithLoss becomes Softmax with top
    ``prob``, the last one where there are several. What matters in training only, fillers and multipliers, is left out.
    """
    layers = layers_in_test(net)
    read = {blob for layer in layers if not _judges(layer) for blob in layer.bottom}
    losses = [layer for layer in layers if layer.type == "SoftmaxWithLoss"]
    taken = {layer.name for layer in layers} | {blob for layer in layers for blob in layer.top}
    result = caffe_pb2.NetParameter(name=net.name)
    for layer in layers:
        tops = [i for i, blob in enumerate(layer.top) if blob in read]
        if layer.type == "SoftmaxWithLoss":
            name = "prob" if layer is losses[-1] and "prob" not in taken else f"{layer.name}_prob"
            softmax = result.layer.add(name=name, type="Softmax", bottom=[layer.bottom[0]], top=[name])
            if layer.HasField("softmax_param"):
                softmax.softmax_param.CopyFrom(layer.softmax_param)
        elif is_data(layer) and tops:
            if len(tops) > 1:
                blobs = ", ".join(layer.top[i] for i in tops)
                raise CaffeError(f"layer {layer.name!r} gives several inputs ({blobs}); expected images and labels")
            _add_input(result, layer, tops, [input_shape])
        elif layer.type == "Input" and tops:
            shapes = [shape.dim for shape in layer.input_param.shape]
            _add_input(result, layer, tops, [shapes[i] for i in tops] if len(shapes) > 1 else shapes)
        elif layer.type != "Input" and not is_data(layer) and not _judges(layer):
            copy = result.layer.add()
            copy.CopyFrom(layer)
            _strip(copy)
    return result


def _judges(layer: Any) -> bool:
    """Whether it only looks at what the net computes: a loss, Accuracy, Silence or HDF5Output."""
    return (
        layer.type in ("Accuracy", "HDF5Output", "Silence") or layer_class(layer.type, f"layer {layer.name!r}").is_loss
    )


def _add_input(net: Any, layer: Any, tops: list[int], shapes: Sequence[Sequence[int]]) -> None:
    new = net.layer.add(name=layer.name, type="Input", top=[layer.top[i] for i in tops])
    for shape in shapes:
        new.input_param.shape.add(dim=shape)


def _strip(layer: Any) -> None:
    """Remove what matters in training only; names of parameters stay, since layers share them by name."""
    for field in TRAINING_FIELDS:
        layer.ClearField(field)
    for spec in layer.param:
        spec.ClearField("lr_mult")
        spec.ClearField("decay_mult")
    if not any(spec.name for spec in layer.param):
        del layer.param[:]
    for _, value in layer.ListFields():
        for field in getattr(getattr(value, "DESCRIPTOR", None), "fields", ()):
            if field.message_type is not None and field.message_type.name == "FillerParameter":
                value.ClearField(field.name)
