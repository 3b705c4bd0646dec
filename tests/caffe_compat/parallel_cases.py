"""Run by torchrun for test_parallel.py: nets alone with whole batches, then the same with the batches split.

Writes a JSON file a process: for each case what differs, relative to the largest value, or what is said against it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import torch
from google.protobuf import text_format
from torch import Tensor

from caffe_compat import parallel, rng
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver import Solver

BATCH = 12
FC = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.3 } } } """
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: "xavier" } } } """


def loss(kind: str, bottoms: str, more: str = "") -> str:
    names = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    return f'layer {{ name: "loss" type: "{kind}" {names} top: "loss" {more} }} '


def on_fc(layer: str, more: str = "") -> str:
    return FC + f'layer {{ name: "x" type: "{layer}" bottom: "fc" top: "x" {more} }} '


IGNORING = "loss_param { ignore_label: 4 normalization: %s }"
SAME = {
    "softmax": FC + loss("SoftmaxWithLoss", "fc label"),
    **{f"softmax {n}": FC + loss("SoftmaxWithLoss", "fc label", IGNORING % n) for n in ("FULL", "VALID", "NONE")},
    "softmax of all ignored but one": FC + loss("SoftmaxWithLoss", "fc one", IGNORING % "VALID"),
    "sigmoid": FC + loss("SigmoidCrossEntropyLoss", "fc target", "loss_param { ignore_label: 0 normalization: VALID }"),
    "weighted": FC + loss("EuclideanLoss", "fc target", "loss_weight: 3"),
    "hinge": FC + loss("HingeLoss", "fc label"),
    "contrastive": FC + loss("ContrastiveLoss", "fc target pair"),
    "multinomial": on_fc("Softmax") + loss("MultinomialLogisticLoss", "x label"),
    "mean": FC + loss("Reduction", "fc", "loss_weight: 1 reduction_param { operation: MEAN coeff: 2 }"),
    "accuracy": FC
    + 'layer { name: "a" type: "Accuracy" bottom: "fc" bottom: "label" top: "a" top: "c" '
    + "accuracy_param { ignore_label: 4 } }",
    "images among the outputs": on_fc("Softmax"),
    "dropout": on_fc("Dropout") + loss("EuclideanLoss", "x target"),
    "batch norm": CONV
    + 'layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" } '
    + FC.replace('"data"', '"bn"')
    + loss("SoftmaxWithLoss", "fc label"),
    "random source": 'layer { name: "noise" type: "DummyData" top: "noise" dummy_data_param { '
    + f'data_filler {{ type: "gaussian" }} shape {{ dim: {BATCH} dim: 5 }} }} }} '
    + FC
    + loss("EuclideanLoss", "fc noise"),
    "shared weights": FC.replace("inner", 'param { name: "w" } inner')
    + 'layer { name: "less" type: "Power" bottom: "data" top: "less" power_param { power: 2 } } '
    + FC.replace("inner", 'param { name: "w" } inner').replace('"fc"', '"g"').replace('"data"', '"less"')
    + loss("EuclideanLoss", "fc g"),
}
REFUSED = {
    "softmax over images": on_fc("Softmax", "softmax_param { axis: 0 }"),
    "product over images": FC.replace("num_output: 5", "num_output: 5 axis: 0"),
    "sum over images": on_fc("Reduction", "reduction_param { operation: SUM }"),
    "images one behind the other": on_fc("Concat", 'bottom: "fc" concat_param { axis: 0 }'),
    "choice of images": on_fc("BatchReindex", 'bottom: "label"'),
    "images filtered": on_fc("Filter", 'bottom: "label"'),
    "sequences": 'layer { name: "x" type: "RNN" bottom: "target" bottom: "both" top: "x" recurrent_param '
    '{ num_output: 2 weight_filler { type: "xavier" } } }',
    "a loss for each image": on_fc("Sigmoid", "loss_weight: 1"),
    "reshape across images": on_fc("Reshape", "reshape_param { shape { dim: 5 dim: -1 } }"),
    "uneven batch": 'layer { name: "odd" type: "DummyData" top: "odd" dummy_data_param { shape { dim: 7 dim: 2 } } }',
    "input": 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 } } }',
}
SOLVERS = {"iter_size": "iter_size: 3", "clip_gradients": "clip_gradients: 0.05", "adam": 'type: "Adam" delta: 1e-4'}


def write_data(folder: Path) -> str:
    """Rows that differ, and labels to ignore in one half of a batch only; the layer that reads them."""
    draw = np.random.default_rng(1)
    labels = np.tile(np.r_[np.full(4, 4), np.arange(8) % 4], 4)
    rows = {
        "data": draw.normal(size=(len(labels), 2, 6, 6)),
        "label": labels,
        "one": np.where(np.arange(len(labels)) % BATCH == 7, 2, 4),
        "target": np.where(labels[:, None] == 4, 0, draw.integers(1, 3, (len(labels), 5))),
        "pair": labels % 2,
        "both": np.ones((len(labels), 5)),
    }
    with h5py.File(folder / "rows.h5", "w") as file:
        for name, values in rows.items():
            file[name] = values.astype(np.float32)
    (folder / "list.txt").write_text(str(folder / "rows.h5"))
    tops = " ".join(f'top: "{name}"' for name in rows)
    return (
        f'layer {{ name: "rows" type: "HDF5Data" {tops} hdf5_data_param {{ source: "{folder / "list.txt"}" '
        f"batch_size: {BATCH} }} }} "
    )


def write_pictures(folder: Path) -> dict[str, str]:
    """Layers that read pictures, with all that is random about them; the pictures and lists that they read."""
    names = [folder / f"{i}.png" for i in range(7)]
    for i, name in enumerate(names):
        cv2.imwrite(str(name), np.random.default_rng(i).integers(0, 256, (12 + i, 20 - i, 3), np.uint8))
    (folder / "pictures.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)))
    windows = "2\n3 0.9 1 2 9 10\n0 0.1 3 1 8 8\n"
    sizes = [(12 + i, 20 - i) for i in range(len(names))]
    (folder / "windows.txt").write_text(
        "".join(f"# {i}\n{name}\n3\n{sizes[i][0]}\n{sizes[i][1]}\n{windows}" for i, name in enumerate(names))
    )
    head = 'layer { name: "pictures" top: "data" top: "label" transform_param { mirror: true crop_size: 8 } '
    return {
        "pictures": f'{head} type: "ImageData" image_data_param {{ source: "{folder}/pictures.txt" shuffle: true '
        f"new_height: 11 new_width: 12 rand_skip: 3 batch_size: {BATCH} }} }} ",
        "windows": f'{head} type: "WindowData" window_data_param {{ source: "{folder}/windows.txt" '
        f"fg_threshold: 0.5 bg_threshold: 0.5 fg_fraction: 0.25 batch_size: {BATCH} }} }} ",
    }


def build(text: str) -> Net:
    rng.set_random_seed(7)
    return Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffe_pb2.TRAIN)


def pass_through(net: Net) -> dict[str, Tensor]:
    """What a forward and backward pass leaves: loss, outputs, gradients, and parameters such as statistics."""
    world = parallel.world()
    loss = world.mean((parallel.SplitPass(net) if world.size > 1 else net.forward_backward)())
    outputs = world.outputs(net, {name: blob.tensor.clone() for name, blob in net.output_blobs.items()})
    found = {"loss": loss, **outputs}
    for i, one in enumerate(net.learnable):
        found[f"parameter {i}"] = one.parameter.detach().clone()
        if one.parameter.grad is not None:
            found[f"gradient {i}"] = one.parameter.grad.clone()
    return found


def train(text: str, more: str) -> dict[str, Tensor]:
    param = caffe_pb2.SolverParameter(net_param=text_format.Parse(text, caffe_pb2.NetParameter()))
    settings = 'base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 max_iter: 5 random_seed: 3 '
    text_format.Merge(settings + "display: 1 snapshot_after_train: false " + more, param)
    solver = Solver(param)
    solver.solve()
    weights = {f"weights {i}": one.parameter.detach().clone() for i, one in enumerate(solver.net.learnable)}
    return {**weights, "loss": torch.tensor(solver.smoothed.value)}


def difference(got: dict[str, Tensor], want: dict[str, Tensor]) -> float | str:
    if {name: value.shape for name, value in got.items()} != {name: value.shape for name, value in want.items()}:
        return f"{sorted(got)} for {sorted(want)}, or other shapes"
    return max(float((got[name] - want[name]).abs().max() / want[name].abs().max().clamp_min(1e-6)) for name in want)


def refusal(text: str) -> str:
    try:
        parallel.check(build(text))
    except CaffeError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    rows = write_data(Path(tempfile.mkdtemp(dir=folder)))
    solved = CONV + FC.replace('"data"', '"conv"') + loss("SoftmaxWithLoss", "fc label", IGNORING % "VALID")
    pictures = write_pictures(Path(tempfile.mkdtemp(dir=folder)))
    alone = {name: pass_through(build(rows + text)) for name, text in SAME.items()}
    alone.update({name: train(rows + solved, more) for name, more in SOLVERS.items()})
    alone.update({name: pass_through(build(text)) for name, text in pictures.items()})
    results: dict[str, Any] = {}
    with parallel.joined() as world:
        for i, (name, text) in enumerate(SAME.items()):
            parallel.BUCKET = (1, 25 << 20)[i % 2]  # each gradient by itself, or all at once
            results[name] = difference(pass_through(build(rows + text)), alone[name])
        for name, text in pictures.items():
            results[name] = difference(pass_through(build(text)), alone[name])
        for name, more in SOLVERS.items():
            results[name] = difference(train(rows + solved, more), alone[name])
        results.update({name: refusal(rows + text) for name, text in REFUSED.items()})
        rng.set_random_seed(world.rank)
        try:
            world.check_alike(Net(text_format.Parse(rows + FC, caffe_pb2.NetParameter()), caffe_pb2.TRAIN))
        except CaffeError as error:
            results["other weights"] = str(error)
    (folder / f"process_{world.rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
