#!/usr/bin/env python
"""Write a net and a solver, train step by step, and watch loss and accuracy. Usage: solve_by_hand.py"""

from __future__ import print_function

import os
import tempfile

import numpy as np

import caffe
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2

caffe.set_random_seed(1)
centers = np.random.RandomState(0).randn(4, 6)


def net(batch_size):
    n = caffe.NetSpec()
    n.data, n.label = L.MemoryData(batch_size=batch_size, channels=6, height=1, width=1, ntop=2)
    n.ip1 = L.InnerProduct(n.data, num_output=16, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=4, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalization=P.Loss.VALID))
    return n.to_proto()


def points(count, seed):
    random = np.random.RandomState(seed)
    label = random.randint(4, size=count)
    data = centers[label] + 0.3 * random.randn(count, 6)
    return data.astype(np.float32).reshape(count, 6, 1, 1), label.astype(np.float32)


folder = tempfile.mkdtemp()
train_path, test_path, solver_path = [os.path.join(folder, name) for name in ("train", "test", "solver")]
for path, batch_size in ((train_path, 32), (test_path, 100)):
    with open(path, "w") as f:
        f.write(str(net(batch_size)))

s = caffe_pb2.SolverParameter()
s.train_net = train_path
s.test_net.append(test_path)
s.test_interval = 1000
s.test_iter.append(1)
s.base_lr = 0.1
s.lr_policy = "fixed"
s.momentum = 0.9
s.type = "SGD"
s.solver_mode = caffe_pb2.SolverParameter.CPU
with open(solver_path, "w") as f:
    f.write(str(s))

solver = caffe.get_solver(solver_path)
solver.net.set_input_arrays(*points(320, 1))
solver.test_nets[0].set_input_arrays(*points(100, 2))

niter, test_interval = 60, 20
train_loss = np.zeros(niter)
test_acc = np.zeros(niter // test_interval)
for it in range(niter):
    solver.step(1)
    train_loss[it] = solver.net.blobs["loss"].data
    if it % test_interval == test_interval - 1:
        test_net = solver.test_nets[0]
        test_net.share_with(solver.net)
        test_net.forward(start="data")
        correct = (test_net.blobs["score"].data.argmax(1) == test_net.blobs["label"].data.ravel()).sum()
        test_acc[it // test_interval] = correct / 100.0
        print("Iteration", it, "loss", train_loss[it], "accuracy", test_acc[it // test_interval])

assert train_loss[-10:].mean() < 0.2 * train_loss[0], train_loss
assert test_acc[-1] > 0.9, test_acc
