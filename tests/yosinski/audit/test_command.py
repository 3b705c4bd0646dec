"""`yosinski audit` on logs of the originals: exit codes, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from yosinski.cli.audit import audit
from yosinski.net_names import parse_name


def run(*arguments: object) -> Result:
    return CliRunner().invoke(audit, [str(argument) for argument in arguments], catch_exceptions=False)


def test_originals_pass(as_log, tmp_path: Path) -> None:
    """Resumed nets, too: their data began anew at each resume."""
    folders = [as_log(name) for name in ("half1B", "transfer0A0B_1_4", "transfer2B2A_1_7", "netbase")]
    done = run(*folders, "--stream", "--strict", "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [row["verdict"] for row in rows] == ["pass"] * 4
    assert [float(row["stream_r"]) for row in rows] == pytest.approx([1.0] * 4, abs=1e-4)
    assert rows[0]["images_seen"] == str(450_000 * 256) and len(rows[0]["log_sha256"]) == 64
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["rules"] == 1
    assert [one["check"] for one in found["runs"][0]["findings"]] == ["top1", "loss", "rate", "stream"]
    assert found["runs"][0]["last_top1"] == pytest.approx(0.62456, abs=1e-5)


def test_a_run_that_differs_fails(as_log) -> None:
    done = run(as_log("half1B", top1=-0.02), as_log("half1A"))
    assert done.exit_code == 1
    assert "top1     fail: top-1 0.6050 against 0.6250 (original to the end): -0.0200, outside ±0.0" in done.output
    assert done.output.endswith("1 pass, 1 fail\n")


def test_the_wrong_training_set_shows_in_the_stream_long_before_the_end(as_log, tmp_path: Path) -> None:
    """half0B's log under the name of half0A, 6,000 iterations of 450,000."""
    wrong = as_log("half0B", upto=6_000).rename(tmp_path / "half0A")
    done = run(wrong, "--stream")
    assert done.exit_code == 1
    assert "top1     undecided: at iteration 6000; judged from 10000 on" in done.output
    assert "stream   fail: other images or another order" in done.output
    assert run(as_log("half0B", upto=6_000), "--stream").exit_code == 0


def test_caffe_1_0_with_display_20_shows_other_batches(as_log) -> None:
    done = run(as_log("half1B", era="1.0", upto=60_000), "--stream")
    assert "`display: 1` displays all" in done.output


def test_a_wrong_learning_rate_fails(as_log) -> None:
    folder = as_log("half1B", upto=120_000)
    log = folder / "train.log"
    log.write_text(log.read_text().replace("lr = 0.001", "lr = 0.002"))
    done = run(folder)
    assert done.exit_code == 1
    assert "rate     fail: learning rate 0.002 at iteration 100000, expected 0.001; 1001 of 6000 differ" in done.output


def with_definitions(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    """Put the definitions of a net beside its log, with a change."""
    spec = parse_name(name)
    (folder / "net.prototxt").write_text(spec.definition("full").replace(old, new))
    (folder / "solver.prototxt").write_text(spec.solver("full").replace(old, new))
    return folder


def test_the_packaged_definitions_are_the_recipe(as_log) -> None:
    folder = with_definitions(as_log("transfer1A1B_1_3"), "transfer1A1B_1_3")
    assert "recipe   pass: net and solver are as expected" in run(folder, "--strict").output


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("half1A_mean", "half1B_mean", "transform_param.mean_file is half1B_mean.binaryproto, expected half1A_mean"),
        ("weight_decay: 0.0005", "weight_decay: 0.005", "solver: weight_decay is 0.005, expected 0.0005"),
        ("lr_mult: 0", "lr_mult: 1", "conv1: param[0].lr_mult is 1, expected 0"),
        ('"conv4-new"', '"conv4"', "conv4-new: name is not set, expected conv4-new"),
        ("dropout_ratio: 0.5", "dropout_ratio: 0.4", "dropout_param.dropout_ratio is 0.4, expected 0.5"),
    ],
)
def test_another_recipe_fails(as_log, old: str, new: str, words: str) -> None:
    done = run(with_definitions(as_log("transfer1A1B_1_3"), "transfer1A1B_1_3", old, new))
    assert done.exit_code == 1
    assert "top1     pass" in done.output and words in done.output


def test_a_malformed_log_stops_nothing(as_log, tmp_path: Path) -> None:
    folder = as_log("half1B")
    log = folder / "train.log"
    log.write_text(log.read_text().replace("Iteration 40, loss = ", "Iteration 40, loss = x", 1))
    done = run(tmp_path / "nowhere", folder, as_log("half1A"))
    assert done.exit_code == 1
    assert f"{log}:4: not a number" in done.output
    assert "nowhere: no such run directory" in done.output
    assert done.output.endswith("2 pass, 1 fail\n")


def test_a_log_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "half0A").mkdir()
    (tmp_path / "half0A" / "train.log").write_text("a diary\n")
    assert "top1     undecided: no test in its log" in run(tmp_path / "half0A").output


def test_undecided_fails_only_if_strict(as_log) -> None:
    folder = as_log("nolearn_1_3")
    assert run(folder).exit_code == 0
    assert run(folder, "--strict").exit_code == 1


def test_a_net_of_no_known_split(as_log, tmp_path: Path) -> None:
    folder = as_log("half1B").rename(tmp_path / "base_B")
    assert "--split says which" in run(folder).output
    assert run(folder, "--split", "1", "--strict").exit_code == 0
    assert run(folder, "--split", "0").exit_code == 1


def test_the_page_needs_nothing_from_elsewhere(as_log, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    run(as_log("half1B"), as_log("half1A", top1=0.05), "--html", page)
    text = page.read_text(encoding="utf-8")
    assert "src=" not in text and "<link" not in text and "url(" not in text and "import" not in text
    assert text.count("<details") == 2 and 'class="verdict fail"' in text


def test_csv_on_stdout(as_log) -> None:
    done = run(as_log("half1B"), "--csv", "-")
    assert done.output.splitlines()[0].startswith(
        "run,reference,verdict,iteration,top1,reference_top1,difference,limit"
    )
    assert len(done.output.splitlines()) == 2


def test_wrong_usage(tmp_path: Path) -> None:
    assert run().exit_code == 2
    assert run(tmp_path, "--against", tmp_path, "--split", "0").exit_code == 2
    assert run(tmp_path, "--split", "A").exit_code == 2
