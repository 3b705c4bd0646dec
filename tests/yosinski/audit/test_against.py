"""Small nets audited against each other: another seed passes, each of five mistakes fails, and by which check."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from caffe_compat.errors import CaffeError
from yosinski.audit.finding import Finding
from yosinski.audit.rules import Rules
from yosinski.audit.runs import Audited, audit_runs
from yosinski.cli.train import train
from yosinski.demo_data import write_demo_data
from yosinski.net_names import parse_name
from yosinski.scales import SCALES

SOLVER = SCALES["mini"].solver
for field, value in {"test_iter": 4, "test_interval": 20, "display": 1}.items():
    SOLVER = re.sub(rf"\b{field}: \d+", f"{field}: {value}", SOLVER)
MISTAKES: dict[str, Callable[[str], str]] = {
    "rate": lambda solver: solver.replace("base_lr: 0.006", "base_lr: 0.012"),
    "split": lambda net: net.replace("data/mini/B_", "data/mini/A_"),
    "mean": lambda net: net.replace("A_mean.binaryproto", "B_mean.binaryproto"),
    "frozen": lambda net: net.replace("lr_mult: 0", "lr_mult: 1"),
    "floor": lambda net: net.replace("pool: MAX", "pool: MAX round_mode: FLOOR"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs of transfer_A3B that differ by their seed below refs/, and one with each mistake below wrong/."""
    folder = tmp_path_factory.mktemp("study")
    write_demo_data(folder / "data/mini")
    net = parse_name("transfer_A3B").definition("mini")

    def run(out: str, definition: str, solver: str = SOLVER, *options: str) -> None:
        (folder / "net.prototxt").write_text(definition)
        (folder / "solver.prototxt").write_text(solver)
        arguments = ["net.prototxt", "--solver=solver.prototxt", f"--out={out}", "--device=cpu", "--max-iter=40"]
        CliRunner().invoke(train, [*arguments, *options], catch_exceptions=False)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # nets this small only wait for each other's threads
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("runs/base_A", parse_name("base_A").definition("mini"))
        base = "--weights=runs/base_A"
        for seed in (1, 2, 3, 4):
            run(f"refs/seed_{seed}", net, SOLVER, base, f"--seed={seed}")
        for name, mistake in MISTAKES.items():
            wrong = (net, mistake(SOLVER)) if name == "rate" else (mistake(net), SOLVER)
            run(f"wrong/{name}", *wrong, base, "--seed=11")
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def audited(study: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Audited]:
    """The audit of one run against refs/, in the folder that the runs were trained in."""
    monkeypatch.chdir(study)
    return lambda path: audit_runs([Path(path)], Path("refs"), rules)[0]


def verdicts(one: Audited) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in one.findings}


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_another_seed_passes(audited, seed: int) -> None:
    """Held against the three others, it passes every check."""
    one = audited(f"refs/seed_{seed}")
    assert set(verdicts(one).values()) == {"pass"}, one.findings
    assert one.verdict == "pass"


@pytest.mark.parametrize(
    ("mistake", "checks", "words"),
    [
        ("rate", {"rate", "recipe"}, "learning rate 0.012 at iteration 0, expected 0.006; 40 of 40 differ"),
        ("split", {"recipe", "inputs"}, "B_train_lmdb was not read"),
        ("mean", {"recipe", "inputs"}, "transform_param.mean_file is B_mean.binaryproto, expected A_mean.binaryproto"),
        ("frozen", {"recipe", "weights"}, "conv1, conv2, conv3 should be frozen, and changed"),
        ("floor", {"recipe", "weights"}, "pool1: pooling_param.round_mode is FLOOR, expected none"),
    ],
)
def test_a_mistake_fails(audited, mistake: str, checks: set[str], words: str) -> None:
    """After 40 iterations and with three runs to compare with, top-1 and training loss need not tell."""
    one = audited(f"wrong/{mistake}")
    assert one.verdict == "fail"
    failed = {finding.check for finding in one.findings if finding.verdict == "fail"}
    assert checks <= failed
    assert any(words in finding.text for finding in one.findings), one.findings


def test_one_reference_run_tells_no_spread(study: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    one = audit_runs([Path("refs/seed_1")], Path("refs/seed_2"), rules)[0]
    assert verdicts(one)["top1"] == "undecided"
    assert verdicts(one)["recipe"] == verdicts(one)["weights"] == "pass"
    assert one.verdict == "undecided"


def test_a_run_of_another_net_has_nothing_to_be_held_against(audited) -> None:
    one = audited("runs/base_A")
    assert one.findings == [Finding("top1", "undecided", "no other run of base_A to hold it against")]


def test_a_folder_without_runs(tmp_path: Path, rules: Rules) -> None:
    with pytest.raises(CaffeError, match="no run directory in it"):
        audit_runs([tmp_path], tmp_path, rules)


def test_weights_are_found_from_another_folder(study: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """run.json names them as the run did, from the folder that it was started in."""
    monkeypatch.chdir(study / "wrong")
    one = audit_runs([study / "refs/seed_1"], study / "refs", rules)[0]
    assert verdicts(one)["weights"] == "pass"


def test_weights_that_are_gone_decide_nothing(audited, study: Path) -> None:
    weights = study / "runs/base_A/base_A_iter_40.caffemodel"
    moved = weights.rename(weights.with_suffix(".moved"))
    try:
        finding = audited("refs/seed_1").finding("weights")
        assert finding is not None and finding.verdict == "undecided"
        assert "is not there any more as the run found it" in finding.text
    finally:
        moved.rename(weights)
