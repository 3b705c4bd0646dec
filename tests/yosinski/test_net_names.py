"""Names in both grammars, and which nets there are."""

from __future__ import annotations

from collections import Counter

import pytest

from caffe_compat.errors import CaffeError
from yosinski.net_names import DEMO, SPLITS, base_of, list_names, list_specs, originals, parse_name
from yosinski.networks import NetSpec, with_split


def test_names_and_specs_are_one_to_one() -> None:
    names = list_names()
    assert len(names) == len(set(names)) == (2 + 4 * 7 * 2) + (1 + 7 + 12)
    assert [parse_name(name) for name in names] == list_specs()
    assert set(DEMO) <= set(names)


@pytest.mark.parametrize("split", [*SPLITS, "12", None])
def test_original_names_and_specs_are_one_to_one(split: str | None) -> None:
    for spec in list_specs():
        spec = with_split(spec, split)
        assert parse_name(spec.name, split) == spec
        if spec.original_name is None:
            assert split is None and spec.target
        else:
            assert parse_name(spec.original_name) == spec


# The authors' names against what they stand for, and the nets and data these are made from.
NAMES = {
    "half0A": (NetSpec("base", "A", 0, "A", split="0"), None, "half0A", "half0A", "half0A"),
    "halfnatmanB": (NetSpec("base", "B", 0, "B", split="natman"), None, "halfnatmanB", "halfnatmanB", "halfnatmanB"),
    "transfer2A2A_1_7": (NetSpec("selffer", "A", 7, "A", split="2"), "half2A", "half2A", "half2A", "half2A"),
    "transfer0B0A_1_1": (NetSpec("transfer", "B", 1, "A", split="0"), "half0B", "half0A", "half0A", "half0B"),
    "transfer-ft1A1B_1_3": (NetSpec("transfer", "A", 3, "B", True, "1"), "half1A", "half1B", "half1B", "half1A"),
    "transfernatmanAB_1_6": (
        NetSpec("transfer", "A", 6, "B", split="natman"),
        *("halfnatmanA", "halfnatmanB", "halfnatmanB", "halfnatmanA"),
    ),
    "netbase": (NetSpec("whole"), None, "whole", "whole", "whole"),
    "nolearn_1_5": (NetSpec("random", n=5), None, "whole", "whole", "whole"),
    "reduced-0100": (NetSpec("reduced", per_class=100), None, "reduced0100", "whole", "reduced0100"),
    "reduced-1300": (NetSpec("reduced", per_class=1300), None, "whole", "whole", "whole"),
}


@pytest.mark.parametrize("name", NAMES)
def test_original_name(name: str) -> None:
    spec, base, train, valid, mean = NAMES[name]
    assert parse_name(name) == spec
    assert base_of(name) == base
    assert (spec.train_set, spec.valid_set, spec.mean_set) == (train, valid, mean)


def test_sources_of_a_named_split_are_indices() -> None:
    sources = parse_name("transfer_A3B", "2").sources()
    assert (sources.train, sources.valid) == ("data/half2B_train.index", "data/half2B_valid.index")
    assert sources.mean == "data/half2A_mean.binaryproto"
    sources = parse_name("reduced_100", "2").sources()
    assert (sources.train, sources.valid) == ("data/reduced0100_train.index", "data/valid_lmdb")
    assert sources.mean == "data/reduced0100_mean.binaryproto"


def test_the_170_nets_of_the_authors() -> None:
    specs = originals()
    names = [spec.original_name for spec in specs]
    assert len(set(names)) == 170
    kinds = Counter(
        (spec.kind, spec.finetune, "natman" if spec.split == "natman" else "random half" if spec.split else "all")
        for spec in specs
    )
    assert kinds == {
        ("base", False, "random half"): 8,
        ("base", False, "natman"): 2,
        ("selffer", False, "random half"): 4 * 7,
        ("transfer", False, "random half"): 8 * 7,
        ("selffer", True, "random half"): 2 * 7,
        ("transfer", True, "random half"): 4 * 7,
        ("transfer", False, "natman"): 2 * 7,
        ("whole", False, "all"): 1,
        ("random", False, "all"): 7,
        ("reduced", False, "all"): 12,
    }
    assert {spec.target for spec in specs if spec.kind == "selffer"} == {"A"}
    assert {spec.split for spec in specs if spec.finetune} == {"0", "1"}


WRONG = ["", "base", "base_C", "base_A+", "transfer_A0B", "transfer_A8B", "transfer_A3B++", "random_8", "random_0"]
WRONG += ["reduced_0", "reduced-0000", "reduced-100", "half0C", "halfA", "transfer0A1B_1_3", "transfernatmanAB_1_8"]
WRONG += ["transfer-ft_A3B", "transfer0A0B_2_3", "nolearn_1_0", "whole_A", "NETBASE"]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_name(name: str) -> None:
    with pytest.raises(CaffeError, match=r"is no net of the study: expected base_X, selffer_XnX\[\+\], transfer_XnY"):
        parse_name(name)


def test_name_of_the_wrong_kind() -> None:
    with pytest.raises(CaffeError, match="from A to B it is a transfer: transfer_A3B"):
        parse_name("selffer_A3B")
    with pytest.raises(CaffeError, match=r"from B to B it is a selffer: selffer_B3B\+"):
        parse_name("transfer_B3B+")


def test_name_on_another_split() -> None:
    with pytest.raises(CaffeError, match="'half0A' is a net on split 0, not 1"):
        parse_name("half0A", "1")


def test_base_of() -> None:
    assert base_of("base_A") is None
    assert base_of("transfer_A3B+") == "base_A"
    assert base_of("selffer_B7B") == "base_B"
    assert base_of("random_3") is None
