"""Filter's tops as losses; its own numbers are in test_golden.py."""

from __future__ import annotations

from .by_hand import backward, one_layer


def test_a_loss_weight_outlives_a_change_of_the_batch() -> None:
    """Caffe writes it once into the diff's memory, where it stays when fewer images are kept."""
    layer = 'type: "Filter" bottom: "x" bottom: "z" bottom: "s" top: "a" top: "b" loss_weight: 1 loss_weight: 3'
    net = one_layer(layer, x=[[1, 2], [3, 4], [5, 6]], z=[1, 2, 4], s=[1, 0, 1])
    for kept, loss in (([1, 0, 1], 14 + 15), ([0, 1, 0], 7 + 6), ([1, 1, 1], 21 + 21)):
        net.blobs["s"].data[...] = kept
        assert net.forward_layers().item() == loss
        backward(net)
        assert net.blobs["x"].diff.tolist() == [[value, value] for value in kept]
        assert net.blobs["z"].diff.tolist() == [3 * value for value in kept]
