"""Every blob of a net in PyTorch against the same blob in ONNX Runtime: which layer is the first that departs?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from caffe_compat.export.preprocessing import LAYER as TRANSFORM
from yosinski.images import Batch
from yosinski.onnx_model import OnnxModel
from yosinski.runtimes import feed, give_images, onnx_session, without_tf32


@dataclass(frozen=True)
class LayerDelta:
    """What a layer computes in the two runtimes.

    Attributes:
        layer, blob: names; the layer ``transform`` is the preprocessing within the model.
        max_delta: the largest absolute difference.
        scale: the largest value in PyTorch.
        departs: whether max_delta is more than the tolerance of that, or the shapes differ.
    """

    layer: str
    blob: str
    max_delta: float
    scale: float
    departs: bool


def compare_layers(model: OnnxModel, net: Any, batch: Batch, tolerance: float, device: str = "cpu") -> list[LayerDelta]:
    """Run one batch and compare blob by blob, in the order of the layers, what in-place layers overwrite included.

    Args:
        net: in phase TEST, with Input layers; what the model was exported from.
        tolerance: of each blob's largest value.

    Raises:
        CaffeError: the model has no values of this net's names.
    """
    wanted = dict(_torch_values(net, batch, device))
    content = onnx.ModelProto.FromString(model.proto.SerializeToString())
    graph = content.graph
    made = {value for node in graph.node for value in node.output}
    names = [name for name, _, _ in wanted if name in made]
    if not names:
        raise CaffeError(f"{model.path}: has no values with the names of blobs of the net {net.name!r}")
    infos = {info.name: info for info in [*graph.value_info, *graph.output]}
    del graph.output[:]
    graph.output.extend(infos.get(name) or onnx.ValueInfoProto(name=name) for name in names)
    session = onnx_session(content.SerializeToString(), str(model.path), device)
    values = dict(zip(names, session.run(names, feed(model, batch))))
    return [
        _compare(layer, blob, reference, values[name], tolerance)
        for (name, layer, blob), reference in wanted.items()
        if name in values
    ]


def _torch_values(net: Any, batch: Batch, device: str) -> list[tuple[tuple[str, str, str], NDArray]]:
    """Value's name, layer and blob with what the layer computed, before later in-place layers overwrite it."""
    import torch

    from caffe_compat.export.onnx_export import steps_of

    net.to(torch.device(device))
    give_images(net, batch)
    data = net.inputs[0]
    found = [((f"{data}@{TRANSFORM}", TRANSFORM, data), batch.data)]
    steps, _ = steps_of(net)
    with without_tf32():
        for i, (step, wiring) in enumerate(zip(steps, net.wirings)):
            net.forward_layers(i, i)
            if step.layer.type != "Input":
                for value, blob in zip(step.tops, wiring.tops):
                    found.append(((value, step.layer.name, blob), net.blobs[blob].tensor.cpu().numpy().copy()))
    return found


def _compare(layer: str, blob: str, reference: NDArray, value: NDArray, tolerance: float) -> LayerDelta:
    scale = float(np.abs(reference).max(initial=0))
    if value.shape != reference.shape:
        return LayerDelta(layer, blob, float("inf"), scale, True)
    delta = np.abs(value.astype(np.float64) - reference)
    same = (value == reference) | (np.isnan(value) & np.isnan(reference))
    worst = float(np.where(same, 0, np.where(np.isnan(delta), np.inf, delta)).max(initial=0))
    return LayerDelta(layer, blob, worst, scale, worst > tolerance * scale)
