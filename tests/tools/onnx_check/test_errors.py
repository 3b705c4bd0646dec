"""Bad input of every kind: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

PIXELS = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--model is missing"),
        (["--model", "m"], "one of --db and --raw"),
        (["--model", "m", "--db", "d", "--raw", "r"], "one of --db and --raw"),
        (["--model", "m", "--db", "d", "--raw", "r", "--dump", "o"], "one of --db and --raw"),
        (["--model"], "--model needs a value"),
        (["--modle", "m"], "unknown argument --modle"),
        (["--model", "m", "--db", "d", "--batch", "0"], "--batch 0"),
        (["--model", "m", "--db", "d", "--batch", "8x"], "--batch 8x"),
        (["--model", "m", "--db", "d", "--limit", "99999999999"], "--limit 99999999999"),
        (["--model", "m", "--db", "d", "--scale", "nan"], "--scale nan"),
        (["--model", "m", "--db", "d", "--mean-value", "1,,2"], "--mean-value"),
        (["--model", "m", "--db", "d", "--provider", "tpu"], "expected cpu or cuda"),
        (["--model", "m", "--db", "d", "--mean", "f", "--mean-value", "1"], "exclude each other"),
        (["--model", "m", "--db", "d", "--force-color", "--force-gray"], "exclude each other"),
        (["--model", "m", "--raw", "=f"], "[NAME=]FILE"),
    ],
)
def test_wrong_usage_exits_with_2(checker: Any, arguments: list[str], words: str) -> None:
    assert words in checker.error(*arguments, code=2)


def test_help_and_version(checker: Any) -> None:
    usage = checker.run("--help")
    assert usage.returncode == 0 and "--mean-value" in usage.stdout and max(map(len, usage.stdout.splitlines())) <= 120
    version = checker.run("--version")
    assert version.returncode == 0 and "ONNX Runtime 1." in version.stdout


def test_the_model(checker: Any, make: Any, tmp_path: Path) -> None:
    db = make.db([make.datum(PIXELS)])
    assert str(tmp_path / "none.onnx") in checker.error("--model", tmp_path / "none.onnx", "--db", db)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model at all")
    assert str(broken) in checker.error("--model", broken, "--db", db)
    whole = make.identity().read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    assert str(broken) in checker.error("--model", broken, "--db", db)


def test_names_of_inputs_and_outputs(checker: Any, make: Any) -> None:
    db = make.db([make.datum(PIXELS)])
    line = checker.error("--model", make.identity(), "--db", db, "--input", "image")
    assert 'the input "image" does not exist; there are: data' in line
    line = checker.error("--model", make.identity(), "--db", db, "--output", "fc8")
    assert 'the output "fc8" does not exist; there are: prob' in line
    nodes = [helper.make_node("Identity", ["data"], [name]) for name in ("left", "right")]
    shape = ["N", "C", "H", "W"]
    model = make.model(nodes, {"data": shape}, {"left": shape, "right": shape})
    assert "must be chosen by name; there are: left, right" in checker.error("--model", model, "--db", db)
    assert checker.report("--model", model, "--db", db, "--output", "right")["output"] == "right"


def test_inputs_and_outputs_that_are_no_images_and_scores(checker: Any, make: Any) -> None:
    db = make.db([make.datum(PIXELS)])
    assert "expected float32 or uint8 images" in checker.error("--model", make.identity("K"), "--db", db)
    nodes = [helper.make_node("Cast", ["data"], ["prob"], to=TensorProto.FLOAT)]
    shape = ["N", 3, 4, 4]
    model = make.model(nodes, {"data": shape}, {"prob": shape}, types={"data": TensorProto.INT32})
    assert "is int32 ?x3x4x4" in checker.error("--model", model, "--db", db)
    nodes = [helper.make_node("ReduceMean", ["data"], ["prob"], keepdims=0)]
    line = checker.error("--model", make.model(nodes, {"data": shape}, {"prob": []}), "--db", db)
    assert 'the output "prob" is (), expected 1 rows' in line


def test_the_database(checker: Any, make: Any, tmp_path: Path) -> None:
    model = make.identity()
    assert "No such file" in checker.error("--model", model, "--db", tmp_path / "none")
    assert "not a folder" in checker.error("--model", model, "--db", model)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "no data.mdb" in checker.error("--model", model, "--db", folder)
    (folder / "CURRENT").touch()
    assert "a LevelDB" in checker.error("--model", model, "--db", folder)
    for content in (b"", b"x" * 8192):
        (folder / "data.mdb").write_bytes(content)
        assert str(folder) in checker.error("--model", model, "--db", folder)
    assert "empty" in checker.error("--model", model, "--db", make.db([]))


def test_the_records(checker: Any, make: Any, tmp_path: Path) -> None:
    good = make.datum(PIXELS)
    cases = {
        b"": "a Datum of shape 0x0x0",
        b"\xff" * 30: "not a Datum",
        good[:30]: "not a Datum: cut off",
        make.datum(PIXELS, shape=(3, 4, 5)): "a Datum of shape 3x4x5 needs 60 values, but holds 48 bytes",
        make.datum(PIXELS.astype(np.float32), shape=(1, 4, 4)): "needs 16 values, but holds 48 floats",
        make.datum(PIXELS, shape=(-3, -4, 4)): "a Datum of shape -3x-4x4",
        make.datum(PIXELS, shape=(1 << 20, 1 << 20, 1 << 20)): "needs 1152921504606846976 values",
        make.datum(PIXELS[:, :3]): "an image of 3x3x4, where those before it were 3x4x4",
        make.datum(b"GIF89a"): "neither JPEG nor PNG",
        make.datum(b"\xff\xd8\xff\xe0 and no more"): "a JPEG that cannot be decoded",
        make.datum(b"\x89PNG\r\n\x1a\n and no more"): "a PNG that cannot be decoded",
    }
    for i, (record, words) in enumerate(cases.items()):
        maker = type(make)(tmp_path / str(i))
        maker.folder.mkdir()
        line = checker.error("--model", make.identity(), "--db", maker.db([good, record]))
        assert f"{maker.folder / 'db'}: record 00000001_image: " in line and words in line


@pytest.mark.parametrize("label", [48, -1, 2**31 - 1])
def test_labels_out_of_range(checker: Any, make: Any, tmp_path: Path, label: int) -> None:
    db = make.db([make.datum(PIXELS, 47), make.datum(PIXELS, label)])
    line = checker.error("--model", make.identity(), "--db", db, "--dump", tmp_path / "out")
    assert f"{db}: record 00000001_image: the label {label} is outside 0..47" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "net.onnx"]


def test_crops_and_means_that_do_not_fit(checker: Any, make: Any, tmp_path: Path) -> None:
    db = make.db([make.datum(PIXELS)])
    model = make.identity(3, 4, 4)
    assert "smaller than the crop of 5" in checker.error("--model", model, "--db", db, "--crop", 5)
    line = checker.error("--model", model, "--db", db, "--crop", 3)
    assert "takes ?x3x4x4, but the transformed images are 3x3x3" in line
    mean = make.mean(np.zeros((3, 4, 5)))
    assert f"the mean of {mean} is 3x4x5" in checker.error("--model", model, "--db", db, "--mean", mean)
    assert "2 mean values" in checker.error("--model", model, "--db", db, "--mean-value", "1,2")
    assert "No such file" in checker.error("--model", model, "--db", db, "--mean", tmp_path / "none")
    whole = mean.read_bytes()
    for content, words in (
        (whole[:-2], "not a BlobProto: cut off"),
        (b"", "expected one image"),
        (whole[:8], "holds 0"),
    ):
        mean.write_bytes(content)
        line = checker.error("--model", model, "--db", db, "--mean", mean)
        assert str(mean) in line and words in line


def test_a_dump_that_cannot_be_written(checker: Any, make: Any, tmp_path: Path) -> None:
    db = make.db([make.datum(PIXELS)])
    out = tmp_path / "none" / "out"
    assert f"{out}: No such file" in checker.error("--model", make.identity(), "--db", db, "--dump", out)


def test_a_report_that_cannot_be_written(checker: Any, make: Any) -> None:
    db = make.db([make.datum(PIXELS)])
    with Path("/dev/full").open("w") as full:
        arguments = [checker.program, "--model", make.identity(), "--db", db]
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "onnx_check: standard output: No space left on device\n")


def test_no_cuda_is_one_line(checker: Any, make: Any) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU")
    line = checker.error("--model", make.identity(), "--db", make.db([make.datum(PIXELS)]), "--provider", "cuda")
    assert "CUDA" in line or "cuda" in line


def test_ctrl_c_leaves_nothing_behind(checker: Any, make: Any, tmp_path: Path) -> None:
    make.db([make.datum(PIXELS)])
    index = tmp_path / "long.index"
    index.write_text("index of db\n" + "00000000_image 0\n" * 2_000_000)  # not done before it is interrupted
    arguments = [checker.program, "--model", make.identity(), "--db", index, "--dump", tmp_path / "out", "--batch", "1"]
    running = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not any(
        path.name.endswith(".tmp") and path.stat().st_size for path in tmp_path.iterdir()
    ):
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    assert (running.communicate()[1], running.returncode) == ("onnx_check: interrupted\n", 130)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "long.index", "net.onnx"]
