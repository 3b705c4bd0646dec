#!/usr/bin/env python
"""Turn a classifier's fully connected layers into convolutions, so that it classifies every part of a larger image.

Usage: net_surgery.py FC_PROTOTXT CONV_PROTOTXT WEIGHTS CONV_WEIGHTS
"""

from __future__ import print_function

import sys

import numpy as np

sys.path.insert(0, "../python")
import caffe

net = caffe.Net(sys.argv[1], sys.argv[3], caffe.TEST)
params = ["fc6", "fc7"]
fc_params = {pr: (net.params[pr][0].data, net.params[pr][1].data) for pr in params}
for fc in params:
    print("{} weights are {} dimensional and biases are {} dimensional".format(
        fc, fc_params[fc][0].shape, fc_params[fc][1].shape))

net_full_conv = caffe.Net(sys.argv[2], sys.argv[3], caffe.TEST)
params_full_conv = ["fc6-conv", "fc7-conv"]
conv_params = {pr: (net_full_conv.params[pr][0].data, net_full_conv.params[pr][1].data) for pr in params_full_conv}
for conv in params_full_conv:
    print("{} weights are {} dimensional".format(conv, conv_params[conv][0].shape))

for pr, pr_conv in zip(params, params_full_conv):
    conv_params[pr_conv][0].flat = fc_params[pr][0].flat  # flat unrolls the arrays
    conv_params[pr_conv][1][...] = fc_params[pr][1]
net_full_conv.save(sys.argv[4])

# The map's corner is what the classifier says to that corner of the image.
image = np.random.RandomState(0).rand(1, 3, 24, 24)
out = net_full_conv.forward_all(data=image)
print("map", out["prob"][0].argmax(axis=0).shape)
corner = net.forward_all(data=image[:, :, :16, :16])["prob"][0]
assert np.abs(out["prob"][0, :, 0, 0] - corner).max() < 1e-5
last = net.forward_all(data=image[:, :, 8:, 8:])["prob"][0]
assert np.abs(out["prob"][0, :, -1, -1] - last).max() < 1e-5
