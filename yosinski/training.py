"""From the command line's words to a training run in a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from caffe_compat import compat
from caffe_compat.atomic import write_text
from caffe_compat.errors import CaffeError
from caffe_compat.proto import read_net
from caffe_compat.proto.text import format as format_text
from yosinski import unchanged
from yosinski.definition import inputs, is_solver, read_definition, set_data_root, set_split, solver_for
from yosinski.needs import check_inputs, find_base_weights
from yosinski.net_names import is_name, parse_name
from yosinski.provenance import describe_database, describe_file
from yosinski.resources import find_prototxt
from yosinski.run_dir import RunDir

if TYPE_CHECKING:
    from caffe_compat.trunk import Trunk

NET_FIELDS = ("net", "train_net", "test_net")  # those of a SolverParameter that name files


@dataclass(frozen=True)
class Wish:
    """What the user asks for; None where the definitions decide.

    ``as_caffe``: resume as Caffe did, not exactly. ``split``: which halves A and B stand for. ``data_seed``: of the
    data layers' random decisions. ``hold``: whose memory the images are held in. ``decode``: who decodes JPEG records.
    """

    prototxt: Path
    solver: Path | None = None
    weights: tuple[Path, ...] = ()
    snapshot: Path | None = None
    resume: bool = False
    as_caffe: bool = False
    max_iter: int | None = None
    seed: int | None = None
    data_seed: int | None = None
    out: Path | None = None
    data_root: Path | None = None
    split: str | None = None
    force: bool = False
    compat: str | None = None
    precision: str | None = None
    graphs: bool = False
    hold: Literal["host", "device"] | None = None
    decode: Literal["opencv", "nvjpeg"] | None = None


class Training:
    """A run that is ready to start: everything read and checked, nothing written yet.

    Attributes:
        param: the SolverParameter to train with.
        run: where it will run.
        nets: the net definitions by the path that the solver names them by, as they will be used.
        state: the .solverstate to go on from, or None.
        exact: whether to go on from it to the bit; a snapshot that the user names may be Caffe's own.
        data_seed: what the data layers are seeded with, None: as in Caffe by the main generator.
        trunk: what nets that train in turn share; None: it trains alone.

    Raises:
        CaffeError: a definition is wrong, or data, mean, weights or snapshot are missing, or definitions or data have
            changed under a run that is to go on.
    """

    def __init__(self, wish: Wish) -> None:
        from caffe_compat.solver.nets import train_net

        self.wish = wish
        self.trunk: Trunk | None = None
        path = find_prototxt(wish.prototxt)
        self.run = RunDir(wish.out or run_path(path, wish.split))
        if path.is_dir() and RunDir(path).solver.is_file():
            path = RunDir(path).solver
        given_net = self._read_solver(path)
        self.data_root, self.split = wish.data_root, wish.split
        self.param.snapshot_prefix = str(self.run.path / self.run.name)
        if wish.max_iter is not None:
            self.param.max_iter = wish.max_iter
        if wish.seed is not None:
            self.param.random_seed = wish.seed
        self.nets = {name: self._read_net(name) for name in _net_files(self.param)}
        for name, net in self.nets.items():
            check_inputs(Path(name), net)
        train_net(self.param, str(self.solver_path))
        self.exact = wish.snapshot is None and not wish.as_caffe
        resumes = wish.snapshot is None and (wish.resume or wish.as_caffe)
        self.state = self.run.newest_state(self.exact) if resumes else wish.snapshot
        if self.state is not None and not self.state.is_file():
            raise CaffeError(f"--snapshot {self.state}: no such file")
        weights = wish.weights
        if given_net and not weights and self.state is None and not self.param.weights:
            weights = find_base_weights(path, self.run.path.parent, self.split)
        self.param.weights.extend(str(file) for file in weights)
        if resumes:
            unchanged.check(self.run, self.param, self.nets, self.inputs())
        self._go_on_as_begun()

    def _read_solver(self, path: Path) -> bool:
        """Read the solver, or the net's solver where ``path`` is a net definition; whether it is one."""
        definition = read_definition(path)
        if is_solver(definition):
            self.param, self.solver_path = definition, path
            for field in NET_FIELDS:
                _look_beside(self.param, field, path.parent)
            return False
        self.solver_path = self.wish.solver or solver_for(path)
        self.param = read_definition(self.solver_path)
        if not is_solver(self.param):
            raise CaffeError(f"{self.solver_path}: a net definition; expected a solver")
        for field in ("net_param", "train_net", "train_net_param", "test_net", "test_net_param"):
            self.param.ClearField(field)
        self.param.net = str(path)
        return True

    def _go_on_as_begun(self) -> None:
        """What changes the numbers stays, in a run that goes on, what it was begun with, unless the user says so."""
        wish, begun = self.wish, self.run.meta if self.state is not None else {}
        self.compat = compat.parse(wish.compat or begun.get("compat") or "1.0")
        self.precision: str = wish.precision or begun.get("precision") or "fp32"
        self.decode: str = wish.decode or begun.get("decode") or "opencv"
        if self.decode == "nvjpeg" and wish.hold:
            raise CaffeError(f"--hold {wish.hold}: what is held OpenCV decodes; this run has it from nvJPEG")
        self.data_seed = wish.data_seed if self.state is None else begun.get("data_seed")
        if self.state is not None and wish.data_seed not in (None, self.data_seed):
            raise CaffeError(f"--data-seed {wish.data_seed}: {self.run.path} was begun with {self.data_seed}")

    @property
    def wants_cpu(self) -> bool:
        """Whether the solver asks for the CPU."""
        return bool(self.param.solver_mode == self.param.CPU)

    def _read_net(self, path: str) -> Any:
        net = read_net(path)
        if self.split is not None and not set_split(net, self.split):
            raise CaffeError(f"{path}: --split {self.split}: no layer reads data of an unnamed half A or B")
        if self.data_root is not None:
            set_data_root(net, self.data_root)
        return net

    def build_net(self, param: Any, source: str = "") -> Any:
        """The solver's way to a net: the definition on the halves of --split, --data-root in front of its paths."""
        from caffe_compat.net import Net
        from caffe_compat.trunk import TrunkNet

        if self.split is not None:
            set_split(param, self.split)
        if self.data_root is not None:
            set_data_root(param, self.data_root)
        return Net(param, source=source) if self.trunk is None else TrunkNet(param, self.trunk, source)

    def files(self) -> dict[str, Any]:
        """Path and hash of everything that the run reads."""
        found: dict[str, Any] = {"solver": describe_file(self.solver_path)}
        found["nets"] = [describe_file(Path(name)) for name in self.nets]
        found["weights"] = [describe_file(Path(name)) for name in self.param.weights]
        if self.state is not None and not found["weights"]:  # it is still those that the run was begun with
            found["weights"] = self.run.meta.get("files", {}).get("weights", [])
        found["inputs"] = self.inputs()
        return found

    def inputs(self) -> list[dict[str, Any]]:
        """Path and hash, or size, of databases and means."""
        read = {i.path: i for net in self.nets.values() for i in inputs(net)}
        return [describe_database(p) if p.is_dir() else describe_file(p) for p in read]

    @contextmanager
    def opened(self, device: str) -> Iterator[RunDir]:
        """Take the run directory, write the definitions into it, log to it, and note how the run ends."""
        from caffe_compat import glog, parallel

        run, wish = self.run, self.wish
        run.open(resume=self.state is not None, force=wish.force, max_iter=self.param.max_iter)
        with ExitStack() as stack:
            stack.callback(run.close)
            run.begin(
                device=device,
                processes=parallel.world().size,
                seed=self.param.random_seed if self.param.random_seed >= 0 else None,
                data_seed=self.data_seed,
                max_iter=self.param.max_iter,
                compat=str(self.compat),
                precision=self.precision,
                decode=self.decode,
                files=self.files(),
                definitions=unchanged.fingerprints(self.param, self.nets),
                resumed_from=str(self.state) if self.state else None,
            )
            self._write_definitions()
            handler = glog.attach(run.log)
            stack.callback(glog.detach, handler)
            try:
                yield run
            except BaseException as error:
                status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                run.end(status, run.iteration, reason=" ".join(str(error).split()) or type(error).__name__)
                raise

    def _write_definitions(self) -> None:
        """Copies that train the same net from the same working directory, with us or with Caffe."""
        solver = type(self.param)()
        solver.CopyFrom(self.param)
        names = {}
        for i, (name, net) in enumerate(self.nets.items()):
            copy = self.run.net if i == 0 else self.run.path / f"net_{i}.prototxt"
            names[name] = str(copy)
            write_text(copy, format_text(net))
        if not self.nets:  # the solver holds the net; on its own it is what test and export look for
            field = "net_param" if solver.HasField("net_param") else "train_net_param"
            write_text(self.run.net, format_text(getattr(solver, field)))
        for field in ("net", "train_net"):
            if solver.HasField(field):
                setattr(solver, field, names[getattr(solver, field)])
        solver.test_net[:] = [names[name] for name in solver.test_net]
        write_text(self.run.solver, format_text(solver))


def _net_files(param: Any) -> list[str]:
    """The net files that a SolverParameter names, each once."""
    names = [getattr(param, field) for field in ("net", "train_net") if param.HasField(field)]
    return list(dict.fromkeys([*names, *param.test_net]))


def _look_beside(param: Any, field: str, folder: Path) -> None:
    """Caffe looks for a solver's net in the working directory; where it is not there, look beside the solver."""

    def found(name: str) -> str:
        return str(folder / name) if not Path(name).exists() and (folder / name).exists() else name

    if field == "test_net":
        param.test_net[:] = [found(name) for name in param.test_net]
    elif param.HasField(field):
        setattr(param, field, found(getattr(param, field)))


def run_path(path: Path, split: str | None = None) -> Path:
    """The run directory for a definition; for a run directory itself."""
    return path if path.is_dir() and RunDir(path).solver.is_file() else default_out(path, split)


def default_out(prototxt: Path, split: str | None = None) -> Path:
    """runs/NAME: the path below a folder ``prototxt``, else the file name; for solver.prototxt its folder's.

    On a split the study's nets have their original names, by which transfer nets find their base; others end in _SPLIT.
    """
    name = prototxt.absolute().with_suffix("")
    if name.name == "solver":
        name = name.parent
    if split is not None:
        spec = parse_name(name.name, split) if is_name(name.name) else None
        name = name.with_name((spec and spec.original_name) or f"{name.name}_{split}")
    parts = name.parts
    if "prototxt" in parts[:-1]:
        below = len(parts) - parts[::-1].index("prototxt", 1)
        return Path("runs", *parts[below:])
    return Path("runs", name.name)
