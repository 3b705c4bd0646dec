"""How transferable are features in deep networks? The 2014 study, on a Caffe that runs on PyTorch."""
