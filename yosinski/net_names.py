"""The names of nets: in our grammar, such as ``transfer_A3B+``, and the original authors', such as ``half0A``."""

from __future__ import annotations

import re

from caffe_compat.errors import CaffeError
from yosinski.networks import NetSpec, with_split

HALVES = ("A", "B")
SPLITS = ("0", "1", "2", "3", "natman")  # those of the study; any other seed makes a split, too
CUTS = range(1, 8)  # fc8 is learned anew in every transfer, so 7 layers at most are copied
PER_CLASS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 750, 1000, 1300)
# Those that the demo trains; of the small nets, only these come with the package.
DEMO = ("base_A", "base_B", "selffer_B3B", "selffer_B3B+", "transfer_A3B", "transfer_A3B+")
GRAMMAR = (
    "base_X, selffer_XnX[+], transfer_XnY[+], random_n, reduced_N or whole, with n from 1 to 7, N images a class, "
    "X and Y the halves A and B; or an original name such as half0A, transfer-ft0A0B_1_3, nolearn_1_5 or reduced-0100"
)
TRANSFER = re.compile(r"(?P<kind>selffer|transfer)_(?P<base>[AB])(?P<n>[1-7])(?P<target>[AB])(?P<finetune>\+?)")
SPLIT = r"(?P<split>\d{1,9}|natman)"
ORIGINAL_TRANSFER = re.compile(
    r"transfer(?P<finetune>(-ft)?)"
    r"((?P<split>\d{1,9})(?P<base>[AB])(?P=split)(?P<target>[AB])|natman(?P<nm_base>[AB])(?P<nm_target>[AB]))_1_(?P<n>[1-7])"
)


def parse_name(name: str, split: str | None = None) -> NetSpec:
    """The net of that name. CaffeError, with the grammar, if it is none.

    ``split``: that of a name in our grammar, which tells none; an original name tells its own.
    """
    spec = _ours(name) or _original(name)
    if spec is None:
        raise CaffeError(f"{name!r} is no net of the study: expected {GRAMMAR}")
    if spec.split is None:
        return with_split(spec, split)
    if split not in (None, spec.split):
        raise CaffeError(f"{name!r} is a net on split {spec.split}, not {split}")
    return spec


def is_name(name: str) -> bool:
    """Whether a net of the study bears that name."""
    try:
        parse_name(name)
    except CaffeError:
        return False
    return True


def base_of(name: str, split: str | None = None) -> str | None:
    """The net whose final weights the named one starts from, named as that one is; None: none."""
    base = parse_name(name, split).base_spec
    return (base.original_name or base.name) if base else None


def list_specs() -> list[NetSpec]:
    """Every kind of net: bases, then for each target selffer and transfer nets by layer, then those on all classes."""
    specs = [NetSpec("base", base=half, target=half) for half in HALVES]
    for target in HALVES:
        for same in (True, False):
            base = next(half for half in HALVES if (half == target) == same)
            for finetune in (False, True):
                specs += [_transfer(base, n, target, finetune) for n in CUTS]
    return specs + _on_all_classes()


def list_names() -> list[str]:
    """Their names in our grammar."""
    return [spec.name for spec in list_specs()]


def originals() -> list[NetSpec]:
    """The 170 nets whose definitions the authors published: not all that could be, see the comments."""
    specs = [NetSpec("base", base=half, target=half, split=split) for split in SPLITS for half in HALVES]
    for split in SPLITS:
        # On random halves A transferred to itself and to B, and B to A; B to itself was left out. Fine-tuning was done
        # for two of the splits. The natural and the man-made half were transferred to each other only.
        pairs = ["AB", "BA"] if split == "natman" else ["AA", "AB", "BA"]
        for finetune in (False, True) if split in ("0", "1") else (False,):
            specs += [_transfer(pair[0], n, pair[1], finetune, split) for pair in pairs for n in CUTS]
    return specs + _on_all_classes()


def _on_all_classes() -> list[NetSpec]:
    random = [NetSpec("random", n=n) for n in CUTS]
    return [NetSpec("whole"), *random, *(NetSpec("reduced", per_class=count) for count in PER_CLASS)]


def _transfer(base: str, n: int, target: str, finetune: bool, split: str | None = None) -> NetSpec:
    return NetSpec("selffer" if base == target else "transfer", base, n, target, finetune, split)


def _ours(name: str) -> NetSpec | None:
    if name == "whole":
        return NetSpec("whole")
    if match := re.fullmatch(r"base_([AB])", name):
        return NetSpec("base", base=match[1], target=match[1])
    if match := re.fullmatch(r"random_([1-7])", name):
        return NetSpec("random", n=int(match[1]))
    if match := re.fullmatch(r"reduced_([1-9]\d{0,3})", name):
        return NetSpec("reduced", per_class=int(match[1]))
    match = TRANSFER.fullmatch(name)
    if match is None:
        return None
    spec = _transfer(match["base"], int(match["n"]), match["target"], bool(match["finetune"]))
    if spec.kind != match["kind"]:
        ends = f"from {spec.base} to {spec.target}"
        raise CaffeError(f"{name!r} is no net of the study: {ends} it is a {spec.kind}: {spec.name}")
    return spec


def _original(name: str) -> NetSpec | None:
    if name == "netbase":
        return NetSpec("whole")
    if match := re.fullmatch(rf"half{SPLIT}(?P<half>[AB])", name):
        return NetSpec("base", base=match["half"], target=match["half"], split=match["split"])
    if match := re.fullmatch(r"nolearn_1_([1-7])", name):
        return NetSpec("random", n=int(match[1]))
    if match := re.fullmatch(r"reduced-(\d{4})", name):
        return NetSpec("reduced", per_class=int(match[1])) if int(match[1]) else None
    match = ORIGINAL_TRANSFER.fullmatch(name)
    if match is None:
        return None
    base, target = match["base"] or match["nm_base"], match["target"] or match["nm_target"]
    return _transfer(base, int(match["n"]), target, bool(match["finetune"]), match["split"] or "natman")
