"""The sizes that the study's nets come in: definition and solvers of each, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yosinski import caffenet

Size = Literal["full", "mini"]
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

SOLVER = """\
# The study's solver, for all its nets: `yosinski train NET` puts the net's own definition in the place of this one.
# Written by `yosinski nets write`.
net: "prototxt/base_A.prototxt"
test_iter: 1000
test_interval: 1000
base_lr: 0.01
lr_policy: "step"
gamma: 0.1
stepsize: 100000
display: 20
max_iter: 450000
momentum: 0.9
weight_decay: 0.0005
snapshot: 10000
snapshot_prefix: "caffe_imagenet_train"
solver_mode: GPU
"""

# The nets on fewer images a class were trained shorter. All else is as above.
REDUCED_SOLVER = (
    SOLVER.replace("for all its nets", "for its nets on fewer images a class")
    .replace("prototxt/base_A.prototxt", "prototxt/reduced/reduced_1.prototxt")
    .replace("base_lr: 0.01\n", "base_lr: 0.0125\n")
    .replace("stepsize: 100000", "stepsize: 64000")
    .replace("max_iter: 450000", "max_iter: 200000")
)

# A test of 10 x 50 images is one pass over the packaged images of a half. The seed makes a run on CPU repeatable. The
# decay is ten times the study's, since 400 images a class are soon learnt by heart.
MINI_SOLVER = """\
# The solver of the small nets: `yosinski train NET` puts the net's own definition in the place of this one.
# Written by `yosinski nets write`.
net: "prototxt/mini/base_A.prototxt"
test_iter: 10
test_interval: 100
base_lr: 0.006
lr_policy: "step"
gamma: 0.1
stepsize: 750
display: 20
max_iter: 1000
momentum: 0.9
weight_decay: 0.005
snapshot: 500
snapshot_prefix: "caffe_mini_train"
solver_mode: CPU
random_seed: 1
"""


@dataclass(frozen=True)
class Scale:
    """One net to make a study with.

    Attributes:
        definition: prototxt text of the net that learns all its layers, for both phases.
        deploy: the same for use; empty where there is none.
        layers: those that the net can be cut behind, the last one excepted.
        solver, reduced_solver: solver texts, of the nets on all images of a class and on fewer.
        data: the folder of the databases and means.
        folder: that of the definitions, below prototxt/.
    """

    title: str
    definition: str
    deploy: str
    layers: tuple[str, ...]
    solver: str
    reduced_solver: str
    data: str
    folder: str


def _caffenet(title: str, net: caffenet.CaffeNet, solver: str, reduced_solver: str, data: str, folder: str) -> Scale:
    return Scale(title, caffenet.train_val(net), caffenet.deploy(net), LAYERS, solver, reduced_solver, data, folder)


SCALES: dict[Size, Scale] = {
    "full": _caffenet("CaffeNet on ImageNet", caffenet.FULL, SOLVER, REDUCED_SOLVER, "data", "."),
    "mini": _caffenet(
        "A small CaffeNet on Fashion-MNIST", caffenet.MINI, MINI_SOLVER, MINI_SOLVER, "data/mini", "mini"
    ),
}
