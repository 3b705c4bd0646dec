#!/usr/bin/env python
"""Train on a Python data layer with a Python loss layer, and hold the loss against Caffe's own."""

from __future__ import print_function

import os
import tempfile

import numpy as np

import caffe
from caffe import layers as L


class BatchLoader(caffe.Layer):
    """Points of a line with noise, in batches."""

    def setup(self, bottom, top):
        if len(top) != 2:
            raise Exception("Need two tops: points and values.")
        self.params = eval(self.param_str)
        self.random = np.random.RandomState(self.params["seed"])
        self.slope = 1.0
        top[0].reshape(self.params["batch_size"], 3)
        top[1].reshape(self.params["batch_size"], 1)

    def set_slope(self, slope):
        self.slope = slope

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        for i in range(self.params["batch_size"]):
            point = self.random.randn(3)
            top[0].data[i, ...] = point
            top[1].data[i, ...] = self.slope * point.sum()

    def backward(self, top, propagate_down, bottom):
        pass


class EuclideanLossLayer(caffe.Layer):
    """Half the mean squared distance."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            sign = 1 if i == 0 else -1
            bottom[i].diff[...] = sign * self.diff / bottom[i].num


def main():
    n = caffe.NetSpec()
    n.data, n.value = L.Python(module="python_layers", layer="BatchLoader", ntop=2,
                               param_str=str(dict(batch_size=16, seed=5)))
    n.ip = L.InnerProduct(n.data, num_output=1, weight_filler=dict(type="gaussian", std=0.1))
    n.loss = L.Python(n.ip, n.value, module="python_layers", layer="EuclideanLossLayer", loss_weight=1)
    n.check = L.EuclideanLoss(n.ip, n.value, loss_weight=0)
    folder = tempfile.mkdtemp()
    net_path, solver_path = os.path.join(folder, "net.prototxt"), os.path.join(folder, "solver.prototxt")
    with open(net_path, "w") as f:
        f.write(str(n.to_proto()))
    with open(solver_path, "w") as f:
        f.write('train_net: "%s" base_lr: 0.2 lr_policy: "fixed" display: 1 max_iter: 60' % net_path)

    caffe.set_mode_cpu()
    solver = caffe.SGDSolver(solver_path)
    solver.net.layers[0].set_slope(2.0)
    for _ in range(60):
        solver.step(1)
        np.testing.assert_allclose(solver.net.blobs["loss"].data, solver.net.blobs["check"].data, rtol=1e-5)
    print(solver.net.params["ip"][0].data.round(2))
    assert np.allclose(solver.net.params["ip"][0].data, 2, atol=0.05)


if __name__ == "__main__":
    main()
