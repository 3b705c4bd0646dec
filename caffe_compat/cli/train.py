"""``caffe train``: a solver from its definition, run to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe_compat import glog
from caffe_compat.cli.brew import Flags, brew
from caffe_compat.cli.gflags import check
from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    import torch


@brew
def train(flags: Flags) -> None:
    """Train or finetune a model."""
    check(flags.solver, "caffe.cpp:167", "FLAGS_solver.size() > 0 (0 vs. 0) Need a solver definition to train.")
    check(
        not (flags.snapshot and flags.weights),
        "caffe.cpp:168",
        "!FLAGS_snapshot.size() || !FLAGS_weights.size() "
        "Give a snapshot to resume training or weights to finetune but not both.",
    )
    import torch

    from caffe_compat.proto import caffe_pb2, read_solver
    from caffe_compat.solver import Solver
    from caffe_compat.solver.signals import handle_signals

    param = read_solver(flags.solver)
    param.train_state.level = flags.level
    param.train_state.stage.extend(flags.stages)
    if not flags.gpu and param.solver_mode == caffe_pb2.SolverParameter.GPU:
        if not torch.cuda.is_available():
            raise CaffeError(
                f"{flags.solver}: solver_mode is GPU, as it is unless set, but this machine has no CUDA device; "
                "solver_mode: CPU trains on the CPU"
            )
        flags.gpu = str(param.device_id)
    device = _device(flags, param)
    if flags.snapshot or flags.weights:
        del param.weights[:]
    if flags.weights:
        param.weights.append(flags.weights)
    solver = Solver(param, device=device, source=flags.solver)
    with handle_signals(solver, flags.sigint_effect, flags.sighup_effect):
        if flags.snapshot:
            glog.info("caffe.cpp:235", f"Resuming from {flags.snapshot}")
            solver.restore(flags.snapshot)
        glog.info("caffe.cpp:239", "Starting Optimization")
        solver.solve()
    glog.info("caffe.cpp:250", "Optimization Done.")


def _device(flags: Flags, param: Any) -> torch.device:
    """The device to train on; a GPU is noted in the SolverParameter ``param``."""
    import torch

    ids = flags.gpus
    if not ids:
        glog.info("caffe.cpp:197", "Use CPU.")
        return torch.device("cpu")
    if len(ids) > 1:
        raise CaffeError(
            f"--gpu {flags.gpu}: one process trains on one GPU; give one id "
            "(one net on several GPUs takes a process each, which torchrun starts)"
        )
    glog.info("caffe.cpp:204", f"Using GPUs {ids[0]}")
    glog.info("caffe.cpp:209", f"GPU {ids[0]}: {torch.cuda.get_device_name(ids[0])}")
    param.device_id = ids[0]
    return torch.device("cuda", ids[0])
