"""By what a loss over many positions is divided."""

from __future__ import annotations

from typing import Any

from caffe_compat.proto import caffe_pb2


def normalizer(param: Any, outer: int, inner: int, valid: int) -> float:
    """Divisor of a loss summed over ``outer`` images of ``inner`` positions, ``valid`` of them not ignored.

    ``param`` is a LossParameter. ``normalize`` is the older spelling: true means VALID, false BATCH_SIZE. Never below
    1, so that a batch of ignored labels gives 0 and not nan (LossLayer's GetNormalizer).
    """
    mode = param.normalization
    if not param.HasField("normalization") and param.HasField("normalize"):
        mode = caffe_pb2.LossParameter.VALID if param.normalize else caffe_pb2.LossParameter.BATCH_SIZE
    divisors = {
        caffe_pb2.LossParameter.FULL: outer * inner,
        caffe_pb2.LossParameter.VALID: valid,
        caffe_pb2.LossParameter.BATCH_SIZE: outer,
        caffe_pb2.LossParameter.NONE: 1,
    }
    return float(max(1, divisors[mode]))
