"""Names of the study's networks, and the prototxt text of each.

``base_A`` is trained on half A from scratch. ``selffer_B3B`` starts from the weights of ``base_B`` up to layer 3,
keeps them frozen, and learns the rest anew on B. ``transfer_A3B`` does so with ``base_A``'s weights, still on B. A
``+`` at the end: the copied layers learn on (fine-tuning).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from yosinski import caffenet
from yosinski.caffenet import CaffeNet, Sources

Kind = Literal["base", "selffer", "transfer"]
Size = Literal["full", "mini"]
HALVES = ("A", "B")
CUTS = range(1, 8)  # fc8 is learned anew in every transfer, so 7 layers at most are copied
SHIPPED = ("base_A", "base_B", "selffer_B3B", "selffer_B3B+", "transfer_A3B", "transfer_A3B+")
GRAMMAR = "base_X, selffer_XnX[+] or transfer_XnY[+] with n from 1 to 7, and X and Y the halves A and B"
NAME = re.compile(r"(?P<base>[AB])(?P<n>[1-7])(?P<target>[AB])(?P<finetune>\+?)")


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
    """The study at one size: its net, its solver, and the folders of its data and, below prototxt/, of its files."""

    title: str
    net: CaffeNet
    solver: str
    data: str
    folder: str


SCALES: dict[Size, Scale] = {
    "full": Scale("CaffeNet on ImageNet", caffenet.FULL, SOLVER, "data", "."),
    "mini": Scale("A small CaffeNet on Fashion-MNIST", caffenet.MINI, MINI_SOLVER, "data/mini", "mini"),
}


@dataclass(frozen=True)
class NetSpec:
    """What a name says: layers 1 to ``n`` come from the net trained on ``base``; the net trains on ``target``.

    A base net has ``n`` = 0 and its own half as ``base``: nothing is copied, but the mean image is that half's.
    """

    kind: Kind
    base: str
    n: int
    target: str
    finetune: bool = False

    @property
    def name(self) -> str:
        if self.kind == "base":
            return f"base_{self.target}"
        return f"{self.kind}_{self.base}{self.n}{self.target}{'+' if self.finetune else ''}"

    @property
    def base_net(self) -> str | None:
        """The net whose final weights this one starts from; None: it starts from its fillers."""
        return None if self.kind == "base" else f"base_{self.base}"

    @property
    def frozen(self) -> int:
        """Layers 1 to this one do not learn."""
        return 0 if self.finetune else self.n

    @property
    def kept(self) -> int:
        """Layers 1 to this one bear their plain names; those above are ``-new``."""
        return 8 if self.kind == "base" else self.n

    def sources(self, size: Size = "full") -> Sources:
        """The target's databases, and the mean of the base's training images.

        The study subtracted the base's mean from the target's images too, in training and in testing.
        """
        folder = SCALES[size].data
        return Sources(
            train=f"{folder}/{self.target}_train_lmdb",
            valid=f"{folder}/{self.target}_valid_lmdb",
            mean=f"{folder}/{self.base}_mean.binaryproto",
        )

    def definition(self, size: Size = "full") -> str:
        """The prototxt text for training and testing."""
        net = SCALES[size].net
        text = caffenet.train_val(self.name, net, self.sources(size), frozen=self.frozen, kept=self.kept)
        return header(size, self.description()) + text

    def deploy(self, size: Size = "full") -> str:
        """The prototxt text for use: input ``data`` of one image, output ``prob``."""
        text = caffenet.deploy(self.name, SCALES[size].net, kept=self.kept)
        return header(size, f"{self.name} for use: one image in, probabilities out.") + text

    def description(self) -> str:
        """One sentence for people."""
        if self.kind == "base":
            return f"{self.name}: trained on half {self.target} from scratch."
        layers = "layer 1" if self.n == 1 else f"layers 1-{self.n}"
        learning = "learning on" if self.finetune else "frozen"
        return f"{self.name}: {layers} from {self.base_net}, {learning}; the rest learned anew on half {self.target}."


def header(size: Size, what: str) -> str:
    return f"# {what}\n# {SCALES[size].title}. Written by `yosinski nets write`.\n"


def parse_name(name: str) -> NetSpec:
    """The net of that name. CaffeError, with the grammar, if it is none."""
    kind, _, rest = name.partition("_")
    if kind == "base" and rest in HALVES:
        return NetSpec("base", base=rest, n=0, target=rest)
    match = NAME.fullmatch(rest)
    if match is None or kind not in ("selffer", "transfer"):
        raise CaffeError(f"{name!r} is no net of the study: expected {GRAMMAR}")
    base, n, target, plus = match.groups()
    right: Kind = "selffer" if base == target else "transfer"
    if kind != right:
        raise CaffeError(f"{name!r} is no net of the study: from {base} to {target} it is a {right}: {right}_{rest}")
    return NetSpec(right, base, int(n), target, finetune=bool(plus))


def base_of(name: str) -> str | None:
    """The net whose final weights the named one starts from; None for a base net."""
    return parse_name(name).base_net


def list_names() -> list[str]:
    """Every name there is: the two base nets, then for each target the selffer and transfer nets by layer."""
    names = [f"base_{half}" for half in HALVES]
    for target in HALVES:
        for kind in ("selffer", "transfer"):
            base = next(half for half in HALVES if (half == target) == (kind == "selffer"))
            names += [f"{kind}_{base}{n}{target}{plus}" for plus in ("", "+") for n in CUTS]
    return names


def write_all(folder: str | os.PathLike[str], names: Iterable[str] = SHIPPED) -> list[Path]:
    """Write the nets and their solver at full size to ``folder`` and the small ones to ``folder/mini``.

    Returns the files. Each is written whole or not at all; CaffeError for an unknown name, before any is written.
    """
    specs = [parse_name(name) for name in names]
    written = []
    for size, scale in SCALES.items():
        texts = {spec.name: spec.definition(size) for spec in specs} | {"solver": scale.solver}
        for name, text in texts.items():
            path = Path(folder) / scale.folder / f"{name}.prototxt"
            with writing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(path)
    return written
