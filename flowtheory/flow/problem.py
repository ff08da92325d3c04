r"""A gradient flow as a problem: network function, loss, data and clock.

$$ \dot\theta = -\nabla L(\theta), \qquad
   L(\theta) = \sum_i \ell(y_i, f(x_i;\theta)) \ \text{ or its mean over } i $$

for $f(x) = \sum_j v_j \sigma(\langle w_j, x\rangle)$, $\sigma$ with a kink at 0. This room sees
the network and the loss as JAX functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Bool, Float

from flowtheory.clock import REFERENCE, Clock
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import field as pure
from flowtheory.flow.field import Model, Samples, TwoLayer
from flowtheory.precision import as_float64, float64


@dataclass(frozen=True, eq=False)
class GradientFlow:
    r"""The exact gradient flow of a two-layer network on a data set.

    Attributes:
        frozen_outputs: JAX function (params, x, pattern) -> f of shape (n,): outputs with the
            activation pattern $P \in \{0, 1\}^{h \times n}$ held fixed,
            $f_i = \sum_j v_j P_{ji} \langle w_j, x_i\rangle$.
        outputs: JAX function (params, x) -> f of shape (n,), with the true activation.
        sample_loss: JAX function (y, f) -> l, elementwise, accurate at large margins.
        x: inputs, shape (n, D).
        y: targets, shape (n,).
        clock: reduction of the loss over the samples, and the loss's slope at zero output.

    Raises:
        DataError: shapes that clash, non-finite values, a zero input vector.
        ParameterError: `clock.slope` is not the slope of `sample_loss` at zero output.

    Functions are compared by identity when compiled code is reused: pass the same function objects
    to every problem of a sweep.
    """

    frozen_outputs: Callable
    outputs: Callable
    sample_loss: Callable
    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]
    clock: Clock = REFERENCE
    model: Model = field(init=False, repr=False)

    def __post_init__(self) -> None:
        x, y = as_float64(self.x, "x"), as_float64(self.y, "y")
        _check_shapes(x, y)
        for array in (x, y):
            array.setflags(write=False)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        model = Model(self.frozen_outputs, self.outputs, self.sample_loss)
        object.__setattr__(self, "model", model)
        _check_slope(model, y, self.clock)

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    @property
    def samples(self) -> Samples:
        """The data as the compiled loops take them."""
        weight = 1.0 if self.clock.reduction == "sum" else 1.0 / self.n
        return Samples(self.x, self.y, np.float64(weight))  # type: ignore[arg-type]

    def start(self, W: np.ndarray, v: np.ndarray) -> TwoLayer:
        """Checked parameters, float64.

        Raises:
            DataError: non-finite values, or shapes that do not fit the data.
        """
        W, v = as_float64(W, "W"), as_float64(v, "v")
        if W.ndim != 2 or W.shape[1] != self.x.shape[1] or v.shape != W.shape[:1]:
            raise DataError(
                f"W has shape {W.shape} and v {v.shape} for data in dimension {self.x.shape[1]}",
                expected="W of shape (h, D) and v of shape (h,)",
                fix="one row of W and one entry of v per neuron",
            )
        return TwoLayer(W, v)  # type: ignore[arg-type]

    def energy(self, params: TwoLayer) -> float:
        """The loss $L$ at `params`, in the clock's reduction."""
        with float64():
            outputs = pure.live(self.model, self.samples)
            return float(pure.energy(self.model, self.samples, outputs, params))

    def vector_field(self, params: TwoLayer) -> TwoLayer:
        r"""$-\nabla L$ at `params`, NumPy arrays."""
        with float64():
            outputs = pure.live(self.model, self.samples)
            out = pure.vector_field(self.model, self.samples, outputs, params)
            return TwoLayer(*map(np.asarray, out))  # type: ignore[arg-type]

    def predictions(self, params: TwoLayer) -> Float[np.ndarray, " n"]:
        """Outputs $f(x_i)$ on the data."""
        with float64():
            return np.asarray(self.outputs(params, jax.numpy.asarray(self.x)))

    def preactivations(self, params: TwoLayer) -> Float[np.ndarray, "h n"]:
        r"""$\langle w_j, x_i\rangle$."""
        return np.asarray(params.W) @ self.x.T

    def pattern(self, params: TwoLayer) -> Bool[np.ndarray, "h n"]:
        r"""The strict activation pattern $1[\langle w_j, x_i\rangle > 0]$ (0 on a kink)."""
        return self.preactivations(params) > 0


def _check_shapes(x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1] or x.size == 0:
        raise DataError(
            f"x has shape {x.shape} and y {y.shape}",
            expected="x of shape (n, D) and y of shape (n,), n >= 1, D >= 1",
            fix="one row of x and one entry of y per sample",
        )
    zero = np.flatnonzero(~np.any(x != 0, axis=1))
    if zero.size:
        raise DataError(
            f"the input x[{int(zero[0])}] is the zero vector",
            expected="inputs with a direction: a zero input never moves a weight",
            fix="drop the row",
        )


def _check_slope(model: Model, y: np.ndarray, clock: Clock) -> None:
    """Times cannot be converted between clocks with a wrong slope, and nothing would show it."""
    with float64():
        samples = Samples(np.zeros((len(y), 1)), y, np.float64(1))  # type: ignore[arg-type]
        at_zero = np.asarray(pure.residuals(model, samples, jax.numpy.zeros(len(y)))[0])
    if not np.allclose(at_zero, clock.slope * y, rtol=1e-12, atol=1e-12):
        i = int(np.argmax(np.abs(at_zero - clock.slope * y)))
        raise ParameterError(
            f"the loss has slope -dl/df = {at_zero[i]:g} at f = 0, y = {y[i]:g}, and the clock "
            f"says {clock.slope:g} * y",
            expected="clock.slope = c0 with -dl/df(y, 0) = c0 * y",
            fix="Clock(reduction, slope=0.5) for log(1 + exp(-y f)), slope=1 for exp(-y f)",
        )
