"""What bf16 costs the mini net."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from yosinski.bench import precision


def test_the_mini_net_learns_in_bf16_what_it_learns_in_fp32(tmp_path: Path) -> None:
    accuracies = [precision.top1(precision.trained(tmp_path / "data", name, 1, 150)) for name in ("fp32", "bf16")]
    assert min(accuracies) > 0.75
    assert abs(accuracies[0] - accuracies[1]) < 0.05


def test_report() -> None:
    done = CliRunner().invoke(precision.main, ["--seeds", "1", "--iterations", "3"])
    assert done.exit_code == 0, done.output
    rows = {line.split()[0]: line.split()[1:] for line in done.output.splitlines() if len(line.split()) == 4}
    assert 1e-4 < float(rows["conv1"][0]) < 5e-3
    assert 1e-3 < float(rows["fc8"][2]) < 0.1
    assert rows["pool1"][2] == "-"


def test_a_device_that_is_not_there() -> None:
    done = CliRunner().invoke(precision.main, ["--device", "cuda:99"])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert done.output.startswith("Error: --device cuda:99: this machine has ")
