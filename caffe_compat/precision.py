"""float32 as Caffe means it: no TF32 unless somebody asks for it."""

from __future__ import annotations

import torch


def use_strict_float32() -> None:
    """Keep convolutions and matrix products on a GPU in full float32.

    Torch's default lets cuDNN round the factors of a convolution to TF32's 10 bits of mantissa, which is not what the
    Caffe of any GPU computed.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
