"""``caffe.SGDSolver`` and its kin: the solver as users of pycaffe know it."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from caffe_compat.errors import CaffeError
from caffe_compat.proto import read_solver
from caffe_compat.pycaffe import Net
from caffe_compat.solver import Solver as CoreSolver


class Solver(CoreSolver):
    """A solver, as pycaffe offers it: ``AdamSolver(solver_prototxt)``; a SolverParameter will do as well.

    The class says how weights are updated, whatever ``type`` the prototxt names; ``get_solver`` goes by the prototxt.

    ``net`` and ``test_nets`` are nets as of ``caffe.Net``; the latter get the weights of ``net`` with each test.
    ``step``, ``solve``, ``snapshot``, ``restore``, ``iter``, ``param`` and ``add_callback`` are the core solver's.
    Fields of ``param``, such as ``base_lr``, may be changed between steps.

    Raises:
        CaffeError: the definition of the solver or of a net is wrong; one line.
    """

    type: ClassVar[str]

    def __init__(self, solver_file: str | os.PathLike[str] | Any, source: str = "solver") -> None:
        """``source``: the file that a SolverParameter was read from, for error messages."""
        param, source = _read(solver_file, source)
        if param.type != self.type:
            param.type = self.type
        super().__init__(param, Net, source=source)

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.optimizer.policy.rate(self.iter)

    def apply_update(self) -> None:
        """Change the weights by the gradients at hand, and count the iteration."""
        self.optimizer.to(self.net.device)  # the net has followed the process's mode
        super().apply_update()

    def share_weights(self, net: Net) -> None:
        """Let ``net`` use the weights of the net that is trained, without a copy."""
        net.share_with(self.net)


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad."""

    type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp."""

    type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta."""

    type = "AdaDelta"


class AdamSolver(Solver):
    """Adam."""

    type = "Adam"


_CLASSES: dict[str, type[Solver]] = {
    solver.type: solver
    for solver in (AdaDeltaSolver, AdaGradSolver, AdamSolver, NesterovSolver, RMSPropSolver, SGDSolver)
}


def get_solver(solver_file: str | os.PathLike[str] | Any) -> Solver:
    """The solver of a prototxt (or of a SolverParameter), of the type that it names."""
    param, source = _read(solver_file, "solver")
    if param.type not in _CLASSES:
        raise CaffeError(f"{source}: Unknown solver type: {param.type!r}; known: {', '.join(_CLASSES)}")
    return _CLASSES[param.type](param, source)


def _read(solver_file: str | os.PathLike[str] | Any, source: str) -> tuple[Any, str]:
    """A SolverParameter of one's own, and its name in errors."""
    if isinstance(solver_file, (str, os.PathLike)):
        return read_solver(os.fspath(solver_file)), os.fspath(solver_file)
    param = type(solver_file)()
    param.CopyFrom(solver_file)
    return param, source
