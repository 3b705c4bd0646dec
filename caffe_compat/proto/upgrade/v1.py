"""V1 to V2 (January 2015): `layers` became `layer`, the type a string, and the lists of rates and decays ParamSpecs."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import CaffeError

V2_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

SAME_LISTS = ("bottom", "top", "include", "exclude", "blobs", "loss_weight")
# V1 has a list for each field of a ParamSpec.
PARAM_LISTS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def needs_v1_upgrade(net: Any) -> bool:
    """Whether there are `layers`."""
    return bool(net.layers)


def upgrade_v1_net(net: Any, source: str) -> None:
    """Upgrade in place; CaffeError if the net has layers of both forms, since nobody knows how they interleave."""
    if net.layer:
        raise CaffeError(
            f"{source}: Refusing to upgrade inconsistent NetParameter input; the definition includes both 'layer' and "
            "'layers' fields. The current format defines 'layer' fields with string type like layer { type: 'Layer' "
            "... } and not layers { type: LAYER ... }. Manually switch the definition to 'layer' format to continue."
        )
    for v1 in net.layers:
        _upgrade_layer(v1, net.layer.add())
    net.ClearField("layers")


def _upgrade_layer(v1: Any, layer: Any) -> None:
    if v1.HasField("name"):
        layer.name = v1.name
    if v1.HasField("type"):
        layer.type = V2_TYPES[v1.LayerType.Name(v1.type)]
    for name in SAME_LISTS:
        getattr(layer, name).MergeFrom(getattr(v1, name))
    for name, spec_field in PARAM_LISTS.items():
        for index, value in enumerate(getattr(v1, name)):
            if index == len(layer.param):
                layer.param.add()
            setattr(layer.param[index], spec_field, value)
    for field, value in v1.ListFields():
        if field.name.endswith("_param"):  # the layers' own parameters are the same messages in both
            getattr(layer, field.name).CopyFrom(value)
