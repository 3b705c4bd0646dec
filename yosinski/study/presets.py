"""Which nets make up a study: the presets, and studies that users describe in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.net_names import CUTS, HALVES, SPLITS, list_specs, originals, parse_name
from yosinski.networks import NetSpec, with_split
from yosinski.scales import SCALES, Scale
from yosinski.study_file import read_study


@dataclass(frozen=True)
class Preset:
    """The nets of a study and how they are trained.

    Attributes:
        specs: in any order; those that others start from may be left to ``with_bases``.
        scale: definition and solvers.
        solver: fields of the solver that are other than the scale's.
        whole_tests: test batches of nets on all classes, where that is not the solver's own number; 0: it is.
        images: "fashion": Fashion-MNIST, as packaged; "prepared": what `yosinski data prepare` has made.
        together: how many nets are trained together at most, which start from the same net and read the same images.
        nets_per_job: for up to how many nets one process trains several such groups, one after the other, since
            starting a process takes seconds.
        verify_images: images that the runtimes are compared on; None: all of the validation set.
    """

    name: str
    title: str
    specs: tuple[NetSpec, ...]
    scale: Scale
    solver: dict[str, Any] = field(default_factory=dict)
    whole_tests: int = 0
    images: str = "prepared"
    together: int = 4
    nets_per_job: int = 1
    verify_images: int | None = None


def find_preset(name: str, together: int | None = None) -> Preset:
    """A preset by its name, or the study described in a file. CaffeError if it is neither.

    ``together``: instead of the preset's own.
    """
    found = _find(name)
    return found if together is None else replace(found, together=together)


def _find(name: str) -> Preset:
    if name in PRESETS:
        return PRESETS[name]()
    if not Path(name).is_file():
        raise CaffeError(f"preset {name!r}: expected {', '.join(PRESETS)}, or the file of a study of your own")
    study = read_study(name)
    fashion = study.scale.folder == "mini" and study.scale.data == SCALES["mini"].data
    made = Preset(study.name, study.scale.title, study.specs, study.scale, images="fashion" if fashion else "prepared")
    return replace(made, nets_per_job=4, whole_tests=20) if fashion else replace(made, verify_images=VERIFY_IMAGES)


def paper() -> Preset:
    title = "the 163 nets of the paper's numbers and the 7 with random filters"
    return Preset("paper", title, tuple(originals()), SCALES["full"], verify_images=VERIFY_IMAGES)


def full() -> Preset:
    """Every AnB and BnB, frozen and fine-tuned, in both directions, on every split."""
    kinds = [spec for spec in list_specs() if spec.target]
    specs = [with_split(spec, split) for split in SPLITS for spec in kinds]
    specs += [spec for spec in list_specs() if not spec.target]
    return Preset("full", "every net of every split", tuple(specs), SCALES["full"], verify_images=VERIFY_IMAGES)


def mini() -> Preset:
    """Every family and every n, on two random splits and one of unlike halves, in minutes."""
    specs = [NetSpec("base", base=half, target=half, split=split) for split in ("0", "1", "natman") for half in HALVES]
    for split, pairs, kinds in (("0", ("AA", "AB"), ("", "+")), ("1", ("AA", "AB"), ("",)), ("natman", PAIRS, ("",))):
        specs += [parse_name(transfer(pair, n, plus), split) for plus in kinds for pair in pairs for n in CUTS]
    specs += [NetSpec("whole"), *(NetSpec("random", n=n) for n in CUTS)]
    specs += [NetSpec("reduced", per_class=count) for count in (10, 50, 200)]
    return Preset(
        name="mini",
        title="small nets on Fashion-MNIST",
        specs=tuple(specs),
        scale=replace(SCALES["mini"], data="data"),
        solver={"snapshot": 250, "test_interval": 50},  # twenty tests, since the paper's number is of the ten best
        whole_tests=20,
        images="fashion",
        nets_per_job=4,
    )


def tiny() -> Preset:
    """Too short to learn anything: it shows that the machinery works."""
    names = ("half0A", "half0B", "transfer0A0B_1_3", "transfer-ft0A0B_1_1")
    return replace(
        mini(),
        name="tiny",
        title="four small nets, twenty iterations each",
        specs=tuple(parse_name(name) for name in names),
        solver={"max_iter": 20, "snapshot": 4, "test_interval": 10, "display": 5},
        together=2,
        nets_per_job=2,
        verify_images=50,
    )


def transfer(pair: str, n: int, plus: str) -> str:
    """The name of a net in our grammar: ``pair`` is base and target."""
    return f"{'selffer' if pair[0] == pair[1] else 'transfer'}_{pair[0]}{n}{pair[1]}{plus}"


PAIRS = ("AB", "BA")
VERIFY_IMAGES = 2000
PRESETS: dict[str, Callable[[], Preset]] = {"paper": paper, "full": full, "mini": mini, "tiny": tiny}
