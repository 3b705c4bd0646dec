#!/usr/bin/env python
"""Save the features of a layer for some images. Usage: features.py PROTOTXT WEIGHTS MEAN OUT IMAGE..."""

import sys

import numpy as np

import caffe
import caffe.io

model, weights, mean_file, out = sys.argv[1:5]
net = caffe.Net(model, weights, caffe.TEST)

blob = caffe.proto.caffe_pb2.BlobProto()
blob.ParseFromString(open(mean_file, "rb").read())
mean = np.array(caffe.io.blobproto_to_array(blob))[0]

transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
transformer.set_transpose("data", (2, 0, 1))
transformer.set_mean("data", mean.mean(1).mean(1))
transformer.set_raw_scale("data", 255)
transformer.set_channel_swap("data", (2, 1, 0))

images = sys.argv[5:]
net.blobs["data"].reshape(len(images), *net.blobs["data"].data.shape[1:])
for i, name in enumerate(images):
    net.blobs["data"].data[i, ...] = transformer.preprocess("data", caffe.io.load_image(name))
net.forward(end="fc6")
features = net.blobs["fc6"].data.copy()
assert list(net.blobs.keys())[0] == "data"
np.save(out, features)
