#!/usr/bin/env python
"""Save a picture, as an array, of a layer's filters, tiled into a square. Usage: filters.py PROTOTXT WEIGHTS OUT"""

import sys

import numpy as np

import caffe

caffe.set_mode_cpu()
net = caffe.Net(sys.argv[1], caffe.TEST, weights=sys.argv[2])


def vis_square(data, padsize=1, padval=0):
    data = data - data.min()
    data /= data.max()
    n = int(np.ceil(np.sqrt(data.shape[0])))
    padding = ((0, n ** 2 - data.shape[0]), (0, padsize), (0, padsize)) + ((0, 0),) * (data.ndim - 3)
    data = np.pad(data, padding, mode="constant", constant_values=(padval, padval))
    data = data.reshape((n, n) + data.shape[1:]).transpose((0, 2, 1, 3) + tuple(range(4, data.ndim + 1)))
    return data.reshape((n * data.shape[1], n * data.shape[3]) + data.shape[4:])


for layer_name, param in net.params.items():
    print(layer_name + "\t" + str(param[0].data.shape), str(param[1].data.shape))
for layer_name, blob in net.blobs.items():
    print(layer_name + "\t" + str(blob.data.shape))

filters = net.params["conv1"][0].data
np.save(sys.argv[3], vis_square(filters.transpose(0, 2, 3, 1)))
