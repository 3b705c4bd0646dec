#!/usr/bin/env python
"""Change an image so that a layer's activations grow. Usage: dream.py PROTOTXT WEIGHTS LAYER OUT"""

import sys

import numpy as np
from google.protobuf import text_format

import caffe

net_fn, param_fn, end, out = sys.argv[1:]
model = caffe.io.caffe_pb2.NetParameter()
text_format.Merge(open(net_fn).read(), model)
model.force_backward = True
open("tmp.prototxt", "w").write(str(model))
net = caffe.Classifier("tmp.prototxt", param_fn, mean=np.float32([104.0, 116.0, 122.0]), channel_swap=(2, 1, 0))


def preprocess(net, img):
    return np.float32(np.rollaxis(img, 2)[::-1]) - net.transformer.mean["data"]


def deprocess(net, img):
    return np.dstack((img + net.transformer.mean["data"])[::-1])


def make_step(net, step_size=1.5, jitter=4):
    src = net.blobs["data"]
    dst = net.blobs[end]
    ox, oy = np.random.randint(-jitter, jitter + 1, 2)
    src.data[0] = np.roll(np.roll(src.data[0], ox, -1), oy, -2)
    net.forward(end=end)
    before = np.square(dst.data).sum()
    dst.diff[:] = dst.data
    net.backward(start=end)
    g = src.diff[0]
    src.data[:] += step_size / np.abs(g).mean() * g
    net.forward(end=end)
    assert np.square(dst.data).sum() > before
    src.data[0] = np.roll(np.roll(src.data[0], -ox, -1), -oy, -2)


np.random.seed(0)
image = preprocess(net, np.random.rand(24, 24, 3) * 255)
src = net.blobs["data"]
for h in (16, 20, 24):
    src.reshape(1, 3, h, h)
    src.data[0] = image[:, :h, :h]
    for i in range(3):
        make_step(net)
    image[:, :h, :h] = src.data[0]
np.save(out, deprocess(net, image))
