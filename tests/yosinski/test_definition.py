"""Which kind a prototxt is, what it reads, and what the user is told when that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski.definition import inputs, is_solver, read_definition, set_data_root, set_split
from yosinski.needs import check_inputs, find_base_weights
from yosinski.net_names import parse_name
from yosinski.resources import find_prototxt, prototxt_dir
from yosinski.run_dir import RunDir
from yosinski.training import Training, Wish, default_out


def test_content_tells_a_net_from_a_solver() -> None:
    for path in prototxt_dir().rglob("*.prototxt"):
        assert is_solver(read_definition(path)) == (path.stem == "solver")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('name: "x"\nlayer {\n  nmae: "y"\n}\n', ":3:"),
        ('layer { name: "x" typ: "Data" }\n', ":1:19: "),
        ('net: "x"\nbase_lr: 0.1\nlr_polizy: "step"\n', ":3:"),
    ],
)
def test_the_error_is_of_the_kind_that_the_file_nearly_is(text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "x.prototxt"
    path.write_text(text)
    with pytest.raises(CaffeError, match=place):
        read_definition(path)


def test_data_root_goes_in_front_of_relative_paths_only() -> None:
    net = read_definition(prototxt_dir() / "mini" / "transfer_A3B.prototxt")
    net.layer[1].data_param.source = "/absolute/lmdb"
    set_data_root(net, Path("/elsewhere"))
    assert {str(need.path) for need in inputs(net)} == {
        "/elsewhere/data/mini/B_train_lmdb",
        "/elsewhere/data/mini/A_mean.binaryproto",
        "/absolute/lmdb",
    }


@pytest.mark.parametrize("split", ["0", "3", "natman"])
def test_one_definition_serves_every_split(split: str) -> None:
    for path in prototxt_dir().rglob("*.prototxt"):
        definition = read_definition(path)
        if is_solver(definition):
            continue
        spec = parse_name(path.stem, split)
        assert set_split(definition, split) == bool(spec.target)
        assert definition == spec.net("mini" if path.parent.name == "mini" else "full"), path


def test_missing_data_is_named_with_the_command_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, command in (
        ("mini/transfer_A3B", "yosinski data demo data/mini"),
        ("transfer_A3B", "yosinski data convert --resize 256x256 --shuffle FOLDER/ LIST data/B_train_lmdb"),
    ):
        path = find_prototxt(Path(name))
        with pytest.raises(CaffeError, match=f"layer 'data' needs .*_train_lmdb and 2 more, not there.*{command}"):
            check_inputs(path, read_definition(path))


@pytest.mark.parametrize(
    ("name", "files", "commands"),
    [
        ("transfer0A0B_1_3", "half0B_train.index", "yosinski data subsets data half0B"),
        ("reduced-0100", "reduced0100_train.index", "yosinski data subsets data reduced0100"),
        ("netbase", "train_lmdb", "yosinski data prepare --train IMAGES --out data"),
    ],
)
def test_missing_data_of_a_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: str, commands: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(parse_name(name).definition())
    with pytest.raises(CaffeError, match=f"needs data/{files} and 2 more, not there; make it: {commands}$"):
        check_inputs(Path("net.prototxt"), read_definition(Path("net.prototxt")))


def test_a_transfer_net_takes_the_final_weights_of_its_base(tmp_path: Path) -> None:
    transfer = prototxt_dir() / "mini" / "transfer_A3B+.prototxt"
    with pytest.raises(CaffeError, match=r"starts from the weights of base_A.*yosinski train .*base_A\.prototxt --out"):
        find_base_weights(transfer, tmp_path)
    base = RunDir(tmp_path / "base_A")
    base.path.mkdir()
    for iteration in (20, 100):
        (base.path / f"base_A_iter_{iteration}.caffemodel").touch()
    base.begin()
    with pytest.raises(CaffeError, match=r"not in .*base_A yet"):
        find_base_weights(transfer, tmp_path)
    base.end("finished", 100)
    assert find_base_weights(transfer, tmp_path) == (base.path / "base_A_iter_100.caffemodel",)
    assert find_base_weights(Path("lenet.prototxt"), tmp_path) == ()
    assert find_base_weights(Path("base_A.prototxt"), tmp_path) == ()


@pytest.mark.parametrize(
    ("prototxt", "out"),
    [
        ("prototxt/base_A.prototxt", "runs/base_A"),
        ("prototxt/mini/transfer_A3B+.prototxt", "runs/mini/transfer_A3B+"),
        ("/x/prototxt/y/prototxt/mini/base_A.prototxt", "runs/mini/base_A"),
        ("lenet.prototxt", "runs/lenet"),
        ("examples/lenet/solver.prototxt", "runs/lenet"),
    ],
)
def test_default_run_directory(prototxt: str, out: str) -> None:
    assert default_out(Path(prototxt)) == Path(out)


def test_run_directories_of_a_split_tell_it() -> None:
    assert default_out(Path("prototxt/mini/transfer_A3B+.prototxt"), "0") == Path("runs/mini/transfer-ft0A0B_1_3")
    assert default_out(Path("prototxt/base_B.prototxt"), "natman") == Path("runs/halfnatmanB")
    assert default_out(Path("lenet.prototxt"), "2") == Path("runs/lenet_2")


def test_packaged_definitions_have_short_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = prototxt_dir() / "mini" / "base_A.prototxt"
    for name in ("prototxt/mini/base_A.prototxt", "mini/base_A.prototxt", "mini/base_A"):
        assert find_prototxt(Path(name)) == packaged
    assert find_prototxt(Path("mini/nothing")) == Path("mini/nothing")
    own = Path("mini/base_A")
    own.parent.mkdir()
    own.touch()
    assert find_prototxt(own) == own


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        ("base_lr: 0.1\n", "train net"),
        ('net: "nowhere.prototxt"\n', "nowhere.prototxt"),
    ],
)
def test_a_solver_without_a_net(solver: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "solver.prototxt"
    path.write_text(solver)
    with pytest.raises(CaffeError, match=message):
        Training(Wish(path))


def test_a_run_begun_anew_is_not_as_the_old_one_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(
        'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 1 } }\n'
    )
    Path("solver.prototxt").write_text('net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 1\n')
    run = RunDir(Path("run"))
    run.path.mkdir()
    run.begin(compat="2014", precision="bf16", decode="nvjpeg", data_seed=3)
    for name in ("run_iter_1.solverstate", "run_iter_1.caffemodel"):
        (run.path / name).touch()
    anew = Training(Wish(Path("solver.prototxt"), out=run.path, force=True))
    assert (str(anew.compat), anew.precision, anew.decode, anew.data_seed) == ("1.0", "fp32", "opencv", None)
    on = Training(Wish(Path("solver.prototxt"), out=run.path, snapshot=run.path / "run_iter_1.solverstate"))
    assert (str(on.compat).split(",")[0], on.precision, on.decode, on.data_seed) == ("2014", "bf16", "nvjpeg", 3)
