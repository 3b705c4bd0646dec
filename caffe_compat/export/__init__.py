"""Nets as files of other programs: ONNX graphs and deploy prototxts."""
