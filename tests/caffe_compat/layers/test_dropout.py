"""Dropout's ends; its masks are in test_golden_rng.py."""

from __future__ import annotations

import pytest

from caffe_compat import rng
from caffe_compat.errors import CaffeError

from .by_hand import backward, one_layer


def test_a_ratio_of_0_keeps_all_and_draws_all_the_same() -> None:
    """Caffe checks the ratio in debug builds only; boost draws one word for each element where it keeps any."""
    rng.set_random_seed(5)
    words = [rng.main().next_u32() for _ in range(7)]
    rng.set_random_seed(5)
    net = one_layer('type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0 }', x=[[1, -2, 3]] * 2)
    backward(net, y=[[1, 2, 3]] * 2)
    assert net.blobs["y"].data.tolist() == [[1, -2, 3]] * 2
    assert net.blobs["x"].diff.tolist() == [[1, 2, 3]] * 2
    assert rng.main().next_u32() == words[6]


@pytest.mark.parametrize(("ratio", "more"), [("1", "; with 1 Caffe gets nan for every value"), ("-1", ""), ("2", "")])
def test_no_such_ratio(ratio: str, more: str) -> None:
    layer = f'type: "Dropout" bottom: "x" top: "y" dropout_param {{ dropout_ratio: {ratio} }}'
    with pytest.raises(CaffeError) as caught:
        one_layer(layer, x=[1])
    expected = f"layer 'L': dropout_ratio: {ratio}, expected 0 or more, and less than 1{more}"
    assert str(caught.value) == expected
    net = one_layer(layer, phase="TEST", x=[1, 2])
    backward(net, y=[3, 4])
    assert net.blobs["y"].data.tolist() == [1, 2]
    assert net.blobs["x"].diff.tolist() == [3, 4]
