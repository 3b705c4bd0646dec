"""Blobs: one memory behind tensor and array, zeros until somebody writes, arrays that stay valid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caffe_compat.blob import Blob, ParamBlob
from caffe_compat.errors import CaffeError


def test_array_and_tensor_are_the_same_memory() -> None:
    blob = Blob((2, 3))
    assert blob.data.tolist() == [[0, 0, 0], [0, 0, 0]]
    blob.data[1, 2] = 5
    assert blob.tensor[1, 2] == 5
    blob.tensor.mul_(2)
    assert blob.data[1, 2] == 10


def test_an_array_that_a_user_holds_shows_the_next_value() -> None:
    blob = Blob((2,))
    held = blob.data
    blob.tensor = torch.tensor([1.0, 2.0])
    assert held.tolist() == [1, 2]


def test_a_new_value_of_another_shape_reshapes() -> None:
    blob = Blob((2,))
    blob.tensor = torch.ones(3, 1)
    assert blob.shape == (3, 1)
    assert blob.diff.shape == (3, 1)


def test_reshape_keeps_values_where_the_count_stays() -> None:
    blob = Blob((2, 3))
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.reshape(3, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3], [4, 5]]
    blob.reshape(4)
    assert blob.data.tolist() == [0, 0, 0, 0]
    with pytest.raises(CaffeError, match=r"the shape \[2, -1\]; expected no negative sizes"):
        blob.reshape(2, -1)
    assert blob.shape == (4,)


def test_legacy_shape_has_four_axes() -> None:
    blob = Blob((5, 7))
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (5, 7, 1, 1, 35)
    with pytest.raises(ValueError, match="up to 4 axes"):
        _ = Blob((1, 2, 3, 4, 5)).num


def test_a_parameters_diff_is_its_grad() -> None:
    parameter = nn.Parameter(torch.ones(2))
    blob = ParamBlob(parameter)
    assert blob.diff.tolist() == [0, 0]
    blob.diff[0] = 3
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [3, 0]
    blob.data[1] = 9
    assert parameter.tolist() == [1, 9]


def test_a_blob_follows_dtype() -> None:
    blob = Blob((2,))
    blob.data[...] = 1
    blob.to(torch.empty(0, dtype=torch.float64))
    assert blob.tensor.dtype == torch.float64
    assert blob.grad.dtype == torch.float64
