"""The study's networks: what each is made from, its data, its definition and its solver.

``base_A`` is trained on half A from scratch. ``selffer_B3B`` starts from the weights of ``base_B`` up to layer 3,
keeps them frozen, and learns the rest anew on B. ``transfer_A3B`` does so with ``base_A``'s weights, still on B. A
``+`` at the end: the copied layers learn on (fine-tuning). ``whole`` is trained on all classes, ``random_3`` too, but
its layers 1 to 3 stay as the fillers set them; ``reduced_100`` sees the first 100 images of each class only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from caffe_compat.atomic import write_text
from caffe_compat.proto import caffe_pb2, text
from yosinski.scales import SCALES, Scale, Size
from yosinski.transplant import Sources, freeze, renew, set_sources

Kind = Literal["base", "selffer", "transfer", "random", "reduced", "whole"]
ALL_IMAGES = 1300  # no class of ImageNet has more


@dataclass(frozen=True)
class NetSpec:
    """One net of a study.

    Attributes:
        base: the half, A or B, whose base net gives layers 1 to ``n``, and whose mean image is subtracted. A base
            net's own half; empty for the kinds on all classes.
        n: layers 1 to this one are copied, or for a ``random`` net left as they begin.
        target: the half that the net is trained and tested on; empty as ``base``.
        finetune: copied layers learn on.
        split: which halves: a seed such as "0", or "natman"; None: those in the data folder, whatever they are.
        per_class: of a ``reduced`` net: how many images a class it sees.
    """

    kind: Kind
    base: str = ""
    n: int = 0
    target: str = ""
    finetune: bool = False
    split: str | None = None
    per_class: int = 0

    @property
    def name(self) -> str:
        """The name in our grammar, which does not tell the split."""
        names = {
            "base": f"base_{self.target}",
            "random": f"random_{self.n}",
            "reduced": f"reduced_{self.per_class}",
            "whole": "whole",
        }
        return names.get(self.kind) or f"{self.kind}_{self.base}{self.n}{self.target}{'+' if self.finetune else ''}"

    @property
    def original_name(self) -> str | None:
        """The name by the original authors' rules, unique in a study; None for a net on halves of an unnamed split."""
        names = {"random": f"nolearn_1_{self.n}", "reduced": f"reduced-{self.per_class:04d}", "whole": "netbase"}
        if self.kind in names or self.split is None:
            return names.get(self.kind)
        if self.kind == "base":
            return f"half{self.split}{self.target}"
        natman = self.split == "natman"
        halves = f"natman{self.base}{self.target}" if natman else f"{self.split}{self.base}{self.split}{self.target}"
        return f"transfer{'-ft' if self.finetune else ''}{halves}_1_{self.n}"

    @property
    def base_spec(self) -> NetSpec | None:
        """The net whose final weights this one starts from; None: it starts from its fillers."""
        if self.kind not in ("selffer", "transfer"):
            return None
        return NetSpec("base", base=self.base, target=self.base, split=self.split)

    @property
    def base_net(self) -> str | None:
        """The name of ``base_spec``."""
        return self.base_spec.name if self.base_spec else None

    @property
    def frozen(self) -> int:
        """Layers 1 to this one do not learn."""
        return 0 if self.finetune else self.n

    @property
    def train_set(self) -> str:
        """Name of the dataset that it learns from: whole, reduced0100, half0A, or A of an unnamed split."""
        return self._dataset(self.target)

    @property
    def mean_set(self) -> str:
        """Name of the dataset whose mean is subtracted from all images.

        The study subtracted the base's mean from the target's images too, in training and in testing.
        """
        return self._dataset(self.base)

    @property
    def valid_set(self) -> str:
        """Name of the dataset that it is tested on."""
        return "whole" if self.kind == "reduced" else self.train_set

    def _dataset(self, half: str) -> str:
        if self.kind == "reduced" and self.per_class < ALL_IMAGES:
            return f"reduced{self.per_class:04d}"
        if not half:
            return "whole"
        return half if self.split is None else f"half{self.split}{half}"

    def sources(self, size: Size | Scale = "full") -> Sources:
        """The files that the definition names."""
        folder = scale_of(size).data
        return Sources(
            train=f"{folder}/{database_file(self.train_set, 'train')}",
            valid=f"{folder}/{database_file(self.valid_set, 'valid')}",
            mean=f"{folder}/{mean_file(self.mean_set)}",
        )

    def net(self, size: Size | Scale = "full") -> Any:
        """The NetParameter for training and testing."""
        scale = scale_of(size)
        net = self._transplanted(scale.definition, scale)
        set_sources(net, self.sources(scale))
        freeze(net, scale.layers, self.frozen)
        return self._renewed(net, scale)

    def definition(self, size: Size | Scale = "full") -> str:
        """The prototxt text for training and testing."""
        return header(scale_of(size), self.description()) + text.format(self.net(size))

    def deploy(self, size: Size | Scale = "full") -> str:
        """The prototxt text for use: input ``data`` of one image, output ``prob``."""
        scale = scale_of(size)
        net = self._renewed(self._transplanted(scale.deploy, scale), scale)
        return header(scale, f"{self.name} for use: one image in, probabilities out.") + text.format(net)

    def solver(self, size: Size | Scale = "full") -> str:
        """The solver's prototxt text."""
        scale = scale_of(size)
        return scale.reduced_solver if self.kind == "reduced" else scale.solver

    def _transplanted(self, definition: str, scale: Scale) -> Any:
        net = text.parse(definition, caffe_pb2.NetParameter, source=scale.title)
        net.name = self.name
        return net

    def _renewed(self, net: Any, scale: Scale) -> Any:
        if self.base_spec:
            renew(net, scale.layers, self.n)
        return net

    def description(self) -> str:
        """One sentence for people."""
        layers = "layer 1" if self.n == 1 else f"layers 1-{self.n}"
        if self.kind == "base":
            how = f"trained on half {self.target} from scratch"
        elif self.kind == "whole":
            how = "trained on all classes from scratch"
        elif self.kind == "random":
            how = f"trained on all classes, {layers} random and frozen"
        elif self.kind == "reduced":
            how = f"trained from scratch on the first {self.per_class} images of each class"
        else:
            learning = "learning on" if self.finetune else "frozen"
            how = f"{layers} from {self.base_net}, {learning}; the rest learned anew on half {self.target}"
        return f"{self.name}: {how}."


def scale_of(size: Size | Scale) -> Scale:
    return size if isinstance(size, Scale) else SCALES[size]


def database_file(dataset: str, part: str) -> str:
    """The file or folder, in the data folder, of a dataset's part ``train`` or ``valid``.

    The whole is an LMDB; so are the halves where there is one split only. All others are indices over the whole.
    """
    if dataset == "whole":
        return f"{part}_lmdb"
    return f"{dataset}_{part}_lmdb" if dataset in ("A", "B") else f"{dataset}_{part}.index"


def mean_file(dataset: str) -> str:
    """The file, in the data folder, of the mean of a dataset's training images."""
    return "mean.binaryproto" if dataset == "whole" else f"{dataset}_mean.binaryproto"


def of_split(file: str, split: str) -> str | None:
    """For a file of an unnamed split's half, such as ``A_train_lmdb``, that of a split; None for other files."""
    for half in ("A", "B"):
        dataset = f"half{split}{half}"
        files = {database_file(half, part): database_file(dataset, part) for part in ("train", "valid")}
        files[mean_file(half)] = mean_file(dataset)
        if file in files:
            return files[file]
    return None


def header(scale: Scale, what: str) -> str:
    return f"# {what}\n# {scale.title}. Written by `yosinski nets write`.\n"


def write_nets(folder: str | os.PathLike[str], specs: Iterable[NetSpec], size: Size | Scale = "full") -> list[Path]:
    """Write definitions, each with its solver beside it, and return the files; each is written whole or not at all.

    The nets of kind ``reduced`` and their solver go to ``reduced/``. Nets of a named split bear the original names.
    """
    texts: dict[Path, str] = {}
    for spec in specs:
        place = Path(folder, "reduced") if spec.kind == "reduced" else Path(folder)
        name = spec.original_name if spec.split is not None else spec.name
        texts[place / f"{name}.prototxt"] = spec.definition(size)
        texts[place / "solver.prototxt"] = spec.solver(size)
    for path, content in texts.items():
        write_text(path, content)
    return list(texts)


def with_split(spec: NetSpec, split: str | None) -> NetSpec:
    """The same net on the halves of a split; nets on all classes stay what they are."""
    return replace(spec, split=split) if spec.target else spec
