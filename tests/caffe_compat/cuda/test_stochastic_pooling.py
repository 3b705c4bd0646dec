"""STOCHASTIC pooling on a GPU, whose generator gives other numbers; what follows from them is as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from ..layers.by_hand import backward, one_layer
from ..layers.test_stochastic_pooling import WINDOWS, layer, windows
from .pretended import PretendedGpu


@pytest.mark.parametrize("gpu", ["real_gpu", "pretended_gpu"])
@pytest.mark.parametrize("case", WINDOWS)
def test_what_was_drawn_gets_the_diff(case: str, gpu: str, request: pytest.FixtureRequest) -> None:
    pretended = request.getfixturevalue(gpu)
    shape, kernel, stride, fields = WINDOWS[case]
    x = np.random.default_rng(0).permutation(np.arange(1, 1 + np.prod(shape))).reshape(shape)  # all different
    net = one_layer(layer(kernel, stride, fields), x=x).to("cuda")
    if isinstance(pretended, PretendedGpu):
        pretended.waits.clear()
        net.forward_layers(1, 1)
        net.blobs["y"].grad.fill_(1)
        net.backward_layers(1, 1)
        assert not pretended.waits
    net.forward_layers()
    top = net.blobs["y"].data
    backward(net, y=np.ones(top.shape))
    gradient = np.zeros(shape)
    for place, pixels in windows(top, x, kernel, stride):
        if pixels:
            (drawn,) = (pixel for pixel in pixels if x[pixel] == top[place])
            gradient[drawn] += 1
    np.testing.assert_array_equal(net.blobs["x"].diff, gradient)
