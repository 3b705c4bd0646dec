"""The update rules by the name that stands in ``SolverParameter.type``."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.solver.update.adadelta import AdaDelta
from caffe_compat.solver.update.adagrad import AdaGrad
from caffe_compat.solver.update.adam import Adam
from caffe_compat.solver.update.base import Param, UpdateRule
from caffe_compat.solver.update.nesterov import Nesterov
from caffe_compat.solver.update.rmsprop import RMSProp
from caffe_compat.solver.update.sgd import SGD

_RULES: dict[str, type[UpdateRule]] = {rule.type: rule for rule in (AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SGD)}


def update_rule(param: Any, source: str = "solver") -> UpdateRule:
    """The rule of a SolverParameter; CaffeError if its type is unknown or its fields do not suit the rule."""
    if param.type not in _RULES:
        raise CaffeError(f"{source}: Unknown solver type: {param.type!r}; known: {', '.join(_RULES)}")
    return _RULES[param.type](param, source)


__all__ = ["Param", "UpdateRule", "update_rule"]
