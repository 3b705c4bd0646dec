"""Caffe 1.0 on PyTorch: prototxt, caffemodel, solverstate and LMDB in, the numbers of real Caffe out."""
