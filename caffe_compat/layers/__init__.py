"""Caffe's layers: one file a family, one class a type. A new file here is found by the registry."""
