"""V0 to V1 (May 2014): one message for all layers became a message for each kind, padding layers a field."""

from __future__ import annotations

from typing import Any, NamedTuple

from caffe_compat import glog
from caffe_compat.errors import CaffeError
from caffe_compat.proto.text import is_repeated

V1_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}


class Move(NamedTuple):
    """A V0 field and where it goes: message and field of the V1 layer, by V0 type."""

    field: str
    line: int  # of upgrade_proto.cpp, where Caffe reports the field for a type that has no place for it
    places: dict[str, tuple[str, str]]


def _data(field: str, *types: str) -> dict[str, tuple[str, str]]:
    messages = {
        "data": "data_param",
        "hdf5_data": "hdf5_data_param",
        "images": "image_data_param",
        "window_data": "window_data_param",
    }
    return {name: (messages[name], field) for name in types}


def _learned(field: str) -> dict[str, tuple[str, str]]:
    return {"conv": ("convolution_param", field), "innerproduct": ("inner_product_param", field)}


def _window(field: str) -> dict[str, tuple[str, str]]:
    return {"conv": ("convolution_param", field), "pool": ("pooling_param", field)}


def _lrn(field: str) -> dict[str, tuple[str, str]]:
    return {"lrn": ("lrn_param", field)}


MOVES = (
    Move("num_output", 237, _learned("num_output")),
    Move("biasterm", 249, _learned("bias_term")),
    Move("weight_filler", 261, _learned("weight_filler")),
    Move("bias_filler", 273, _learned("bias_filler")),
    Move("pad", 283, _window("pad")),
    Move("kernelsize", 295, _window("kernel_size")),
    Move("group", 304, {"conv": ("convolution_param", "group")}),
    Move("stride", 316, _window("stride")),
    Move("pool", 341, {"pool": ("pooling_param", "pool")}),
    Move("dropout_ratio", 350, {"dropout": ("dropout_param", "dropout_ratio")}),
    Move("local_size", 359, _lrn("local_size")),
    Move("alpha", 367, _lrn("alpha")),
    Move("beta", 375, _lrn("beta")),
    Move("k", 383, _lrn("k")),
    Move(
        "source",
        403,
        {
            **_data("source", "data", "hdf5_data", "images", "window_data"),
            "infogain_loss": ("infogain_loss_param", "source"),
        },
    ),
    Move("batchsize", 429, _data("batch_size", "data", "hdf5_data", "images", "window_data")),
    Move("rand_skip", 449, _data("rand_skip", "data", "images")),
    Move("shuffle_images", 458, _data("shuffle", "images")),
    Move("new_height", 467, _data("new_height", "images")),
    Move("new_width", 476, _data("new_width", "images")),
    Move("concat_dim", 485, {"concat": ("concat_param", "concat_dim")}),
    Move("det_fg_threshold", 494, _data("fg_threshold", "window_data")),
    Move("det_bg_threshold", 504, _data("bg_threshold", "window_data")),
    Move("det_fg_fraction", 514, _data("fg_fraction", "window_data")),
    Move("det_context_pad", 524, _data("context_pad", "window_data")),
    Move("det_crop_mode", 534, _data("crop_mode", "window_data")),
    Move("hdf5_output_param", 544, {"hdf5_output": ("", "hdf5_output_param")}),
)

# These go to transform_param whatever the type, even where it makes no sense.
TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}

KEPT_OF_NET = {"name", "layers", "input", "input_dim", "force_backward"}
KEPT_OF_LAYER = {"bottom", "top", "layer"}


def needs_v0_upgrade(net: Any) -> bool:
    """Whether any layer is wrapped around a V0 layer."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade_v0_net(net: Any, source: str) -> bool:
    """Upgrade in place; False if a field had no place to go. One V0 layer makes the whole net V0.

    So V1 layers in it keep nothing but bottoms and tops, and the net only the fields that V0 had.
    """
    merge_padding_layers(net, source)
    _keep(net, KEPT_OF_NET)
    lossy = [layer for layer in net.layers if not _upgrade_layer(layer, source)]
    return not lossy


def merge_padding_layers(net: Any, source: str) -> None:
    """Turn padding layers into the `pad` of the convolution or pooling that reads them."""
    origin: dict[str, Any] = dict.fromkeys(net.input)  # blob -> the layer it last came out of
    for connection in net.layers:
        where = f'{source}: layer "{connection.layer.name}": '
        for j, bottom in enumerate(connection.bottom):
            if bottom not in origin:
                raise CaffeError(f"{where}Unknown blob input {bottom} to layer {j}")
            padding = origin[bottom]
            if padding is None or padding.layer.type != "padding":
                continue
            if connection.layer.type not in ("conv", "pool"):
                raise CaffeError(
                    f"{where}Padding layer input to non-convolutional / non-pooling layer type {connection.layer.type}"
                )
            if len(connection.bottom) != 1:
                raise CaffeError(f"{where}Conv Layer takes a single blob as input.")
            if len(padding.bottom) != 1:
                raise CaffeError(f"{where}Padding Layer takes a single blob as input.")
            if len(padding.top) != 1:
                raise CaffeError(f"{where}Padding Layer produces a single blob as output.")
            connection.layer.pad = padding.layer.pad
            connection.bottom[j] = padding.bottom[0]
        origin.update(dict.fromkeys(connection.top, connection))
    for index in reversed([i for i, connection in enumerate(net.layers) if connection.layer.type == "padding"]):
        del net.layers[index]


def _upgrade_layer(layer: Any, source: str) -> bool:
    _keep(layer, KEPT_OF_LAYER)
    if not layer.HasField("layer"):
        return True
    v0 = layer.layer
    if v0.HasField("name"):
        layer.name = v0.name
    if v0.HasField("type"):
        if v0.type not in V1_TYPES:
            raise CaffeError(f'{source}: layer "{v0.name}": Unknown layer name: {v0.type}')
        layer.type = layer.LayerType.Value(V1_TYPES[v0.type])
    layer.blobs.MergeFrom(v0.blobs)
    layer.blobs_lr.MergeFrom(v0.blobs_lr)
    layer.weight_decay.MergeFrom(v0.weight_decay)
    for field, new_field in TRANSFORM.items():
        if v0.HasField(field):
            setattr(layer.transform_param, new_field, getattr(v0, field))
    lost = [move.field for move in MOVES if v0.HasField(move.field) and not _move_field(move, v0, layer)]
    layer.ClearField("layer")
    return not lost


def _move_field(move: Move, v0: Any, layer: Any) -> bool:
    if v0.type not in move.places:
        name = "shuffle" if move.field == "shuffle_images" else move.field
        glog.error(f"upgrade_proto.cpp:{move.line}", f"Unknown parameter {name} for layer type {v0.type}")
        return False
    message_name, field = move.places[v0.type]
    message, value = getattr(layer, message_name) if message_name else layer, getattr(v0, move.field)
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if is_repeated(descriptor):
        getattr(message, field).append(value)
    elif descriptor.message_type is not None:
        getattr(message, field).CopyFrom(value)
    else:
        setattr(message, field, value)
    return True


def _keep(message: Any, names: set[str]) -> None:
    for field, _ in message.ListFields():
        if field.name not in names:
            message.ClearField(field.name)
