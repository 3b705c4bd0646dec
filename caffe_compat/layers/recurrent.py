"""RNN and LSTM: what one does at each time step, and what both have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from caffe_compat.fillers import fill
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.lstm_unit import lstm_unit
from caffe_compat.layers.registry import register


class Recurrent(Layer):
    """Bottoms: x (time, batch, ...), cont (time, batch), then an optional static input (batch, ...).

    cont is 0 where a sequence begins, which cuts it off from what came before. The state at the end of a forward is the
    state at the beginning of the next. With ``expose_hidden`` it comes in and goes out as further bottoms and tops of
    shape (1, batch, num_output) instead.
    """

    type: ClassVar[Any]
    num_bottoms = (2, None)
    num_tops = (1, None)
    no_gradient = (1,)
    num_states: ClassVar[int]  # hidden state, and cell state if there is one
    gates: ClassVar[int]  # rows of the weights, in units of num_output

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.recurrent_param
        exposed = self.num_states if param.expose_hidden else 0
        extra = len(shapes) - 2 - exposed
        if extra not in (0, 1) or len(self.param.top) != 1 + exposed:
            self.fail(
                f"{len(shapes)} bottoms and {len(self.param.top)} tops; expected x, cont, perhaps a static input, and "
                f"{exposed} state(s) as bottoms, and {1 + exposed} top(s)"
            )
        self.static, self.state = bool(extra), None
        n, inputs = param.num_output, math.prod(shapes[0][2:])
        if n < 1:
            self.fail(f"num_output: {n}, expected a positive number")
        self.add_param((self.gates * n, inputs), param.weight_filler)
        self.add_param((self.gates * n,), param.bias_filler)
        if self.static:
            self.add_param((self.gates * n, math.prod(shapes[2][1:])), param.weight_filler)
        self._add_step_params(n)
        # Caffe unrolls the net, and every step draws its weights before it gives them up for those of the first.
        steps = [tuple(p.shape) for p in list(self.params)[2 + self.static :]]
        for _ in range(shapes[0][0] - 1):
            for shape in steps:
                fill(param.weight_filler if len(shape) > 1 else param.bias_filler, shape, self.fail)

    def _add_step_params(self, n: int) -> None:
        """Parameters used at every step, behind those of the inputs."""
        self.add_param((self.gates * n, n), self.param.recurrent_param.weight_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        n, (time, batch) = self.param.recurrent_param.num_output, shapes[0][:2]
        if shapes[1] != (time, batch):
            self.fail(f"cont has shape {list(shapes[1])}; expected {[time, batch]}, the first axes of x")
        if self.static and shapes[2][0] != batch:
            self.fail(f"the static input has shape {list(shapes[2])}; expected a batch of {batch} first")
        return [(time, batch, n), *[(1, batch, n)] * (len(self.param.top) - 1)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        x, cont = bottoms[:2]
        time, batch = cont.shape
        inputs = x.reshape(time, batch, -1) @ self.params[0].t() + self.params[1]
        if self.static:
            inputs = inputs + bottoms[2].reshape(batch, -1) @ self.params[2].t()
        n = self.param.recurrent_param.num_output
        exposed = self.param.recurrent_param.expose_hidden
        if exposed:
            states = [state.reshape(batch, n) for state in bottoms[-self.num_states :]]
        elif self.state is None or self.state[0].shape[0] != batch:
            states = [x.new_zeros(batch, n)] * self.num_states
        else:
            states = [state.to(x) for state in self.state]
        outputs = []
        for t in range(time):
            states, output = self.step(states, inputs[t], cont[t].unsqueeze(-1))
            outputs.append(output)
        self.state = [state.detach() for state in states]
        # Caffe's backward starts below the exposed states, so whatever gradient their tops have is not looked at.
        return torch.stack(outputs), *([state.detach().unsqueeze(0) for state in states] if exposed else [])

    state: list[Tensor] | None

    @abstractmethod
    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        """One time step: the states (batch, n) and the output that follow."""


@register
class LSTM(Recurrent):
    """gates = W_x x + b [+ W_static x_static] + W_h (cont * h), then as LSTMUnit does; the top is h.

    Parameters: W_x (4 n, inputs), b (4 n,), [W_static], W_h (4 n, n); the gates in the order i, f, o, g.
    """

    type = "LSTM"
    num_states = 2
    gates = 4

    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        h, c = states
        c, h = lstm_unit(c, inputs + (cont * h) @ self.params[-1].t(), cont)
        return [h, c], h


@register
class RNN(Recurrent):
    """h = tanh(W_x x + b_h [+ W_static x_static] + W_h (cont * h)); top = tanh(W_o h + b_o).

    Parameters: W_x (n, inputs), b_h (n,), [W_static], W_h (n, n), W_o (n, n), b_o (n,).
    """

    type = "RNN"
    num_states = 1
    gates = 1

    def _add_step_params(self, n: int) -> None:
        super()._add_step_params(n)
        self.add_param((n, n), self.param.recurrent_param.weight_filler)
        self.add_param((n,), self.param.recurrent_param.bias_filler)

    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        w_h, w_o, b_o = list(self.params)[-3:]
        h = torch.tanh(inputs + (cont * states[0]) @ w_h.t())
        return [h], torch.tanh(h @ w_o.t() + b_o)
