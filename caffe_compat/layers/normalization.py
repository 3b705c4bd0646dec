"""By what a loss over many positions is divided."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from caffe_compat import parallel
from caffe_compat.proto import caffe_pb2


def normalizer(param: Any, outer: int, inner: int, valid: Tensor | None) -> float:
    """Divisor of a loss summed over ``outer`` images of ``inner`` positions; ``valid``: which of them count, None: all.

    ``param`` is a LossParameter. ``normalize`` is the older spelling: true means VALID, false BATCH_SIZE. Never below
    1, so that a batch of ignored labels gives 0 and not nan (LossLayer's GetNormalizer). Where several processes split
    the batch, the mean of their losses is to be the whole batch's: each divides by an equal share of its divisor.
    """
    world = parallel.world()
    outer *= world.size
    mode = param.normalization
    if not param.HasField("normalization") and param.HasField("normalize"):
        mode = caffe_pb2.LossParameter.VALID if param.normalize else caffe_pb2.LossParameter.BATCH_SIZE
    if mode == caffe_pb2.LossParameter.VALID and valid is not None:
        divisor = int(world.sum(valid.sum()))
    elif mode == caffe_pb2.LossParameter.BATCH_SIZE:
        divisor = outer
    else:
        divisor = 1 if mode == caffe_pb2.LossParameter.NONE else outer * inner
    return max(1, divisor) / world.size
