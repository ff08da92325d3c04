r"""Alignment times of single neurons as theorems: exact algebra between switches, balls for time.

For a balanced neuron, $v = \pm|w|$, the path in weight space is piecewise straight: in a cell with
$a = \sum_{i\ \mathrm{active}} c_i x_i$ it is $w = w_k + \tau a$, and datum $i$ switches at
$\tau_i = -\langle w_k, x_i\rangle/\langle a, x_i\rangle$. Floats are rationals, so that the whole
sequence of cells is computed without an error. Time is what is left to enclose: with
$P = \langle w, a\rangle$ and $\alpha = |a|$, $\alpha v + P$ grows as $e^{\alpha t}$, so that a cell
takes

$$ \frac1\alpha\ln\frac{\alpha v_1 + P_1}{\alpha v_0 + P_0} . $$
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Bool, Float

from flowtheory.errors import ParameterError
from flowtheory.lower.certified import DIGITS, Enclosure, enclose_sum, rational, require_flint

SIGN, RATE, START, END = sp.symbols("s a^2 w_0^2 w_1^2")
ALONG_START, ALONG_END = sp.symbols("P_0 P_1")


def _growing(square: sp.Symbol, along: sp.Symbol) -> sp.Expr:
    return SIGN * sp.sqrt(RATE) * sp.sqrt(square) + along


CELL = sp.log(_growing(END, ALONG_END) / _growing(START, ALONG_START)) / sp.sqrt(RATE)
r"""Time in a cell, $|w|^2 = v^2$; with squares as symbols, so that all numbers are rational."""

_CELLS = 10_000


class Alignment(NamedTuple):
    """The last switch of a neuron.

    Attributes:
        time: enclosed, in the reference clock (sum loss, unit slope); 0 is known exactly.
        switches: data that were switched on or off on the way.
        alive: whether any datum is active at the end.
    """

    time: Enclosure
    switches: int
    alive: bool


def enclose_alignment(
    x: Float[np.ndarray, "n D"],
    c: Float[np.ndarray, " n"],
    w0: Float[np.ndarray, " D"],
    *,
    sign: int = 1,
    active: Bool[np.ndarray, " n"] | None = None,
    digits: int = DIGITS,
) -> Alignment:
    r"""The time of the last switch of a balanced neuron in the effective flow, with a proof.

    Args:
        x: data, floats that are taken as they are.
        c: weight of each datum in the field, $-\partial_f\ell(y_i, 0)$.
        w0: input weights at the start.
        sign: of the output weight $v = \pm|w_0|$.
        active: the pattern at the start; needed only where it lies on a kink.
        digits: of the time.

    Raises:
        ParameterError: the neuron would slide along a kink, where time has no such form; or
            python-flint is not installed.
        PrecisionError: as `enclose`.
    """
    problem = _Problem.of(np.asarray(x, float), np.asarray(c, float), sign)
    w = [rational(value) for value in np.asarray(w0, float)]
    at = problem.start(w)
    on = [level > 0 for level in at.levels] if active is None else [bool(one) for one in active]
    cells, switches = [], 0
    for _ in range(_CELLS):
        slopes = problem.slopes(on)
        step, crossed = _next(slopes, at.levels, on, sign)
        if step is None:
            time = enclose_sum(CELL, cells, digits=digits) if cells else Enclosure(0.0, 0.0, "0")
            return Alignment(time, switches, any(on))
        at, cell = problem.cross(at, slopes, on, step)
        cells.append(cell)
        for i in crossed:
            on[i] = not on[i]
            at.levels[i] = rational(0.0)
        _require_crossing(problem.slopes(on), on, crossed, sign)
        switches += len(crossed)
    raise ParameterError(
        f"the neuron has more than {_CELLS} cells", expected="fewer", fix="fewer data"
    )


class _State(NamedTuple):
    """A neuron at the start of a cell: the levels <w, x_i>, and |w|^2."""

    levels: list[Any]
    square: Any


class _Problem(NamedTuple):
    """Data and what is needed of them: exact rationals.

    Attributes:
        x: data, a rational matrix.
        gram: <x_i, x_j>.
        c: weights.
        sign: of v.
    """

    x: Any
    gram: Any
    c: list[Any]
    sign: int

    @classmethod
    def of(cls, x: Float[np.ndarray, "n D"], c: Float[np.ndarray, " n"], sign: int) -> _Problem:
        exact = require_flint().fmpq_mat(*x.shape, [rational(value) for value in x.ravel()])
        return cls(exact, exact * exact.transpose(), [rational(value) for value in c], sign)

    def start(self, w: list[Any]) -> _State:
        levels = self.x * require_flint().fmpq_mat(len(w), 1, w)
        return _State([levels[i, 0] for i in range(len(self.c))], sum(p * p for p in w))

    def slopes(self, on: list[bool]) -> list[Any]:
        """<a, x_i>, the change of the levels along the field."""
        chosen = [c if active else rational(0.0) for c, active in zip(self.c, on, strict=True)]
        found = self.gram * require_flint().fmpq_mat(len(chosen), 1, chosen)
        return [found[i, 0] for i in range(len(chosen))]

    def cross(
        self, at: _State, slopes: list[Any], on: list[bool], step: Any
    ) -> tuple[_State, dict[sp.Symbol, Any]]:
        """The state after a step along the field, and the numbers of its `CELL`."""
        used = [(c, i) for i, (c, active) in enumerate(zip(self.c, on, strict=True)) if active]
        rate = sum(c * slopes[i] for c, i in used)
        along = sum(c * at.levels[i] for c, i in used)
        square = at.square + 2 * step * along + step * step * rate
        levels = [level + step * slope for level, slope in zip(at.levels, slopes, strict=True)]
        numbers = (rational(self.sign), rate, at.square, square, along, along + step * rate)
        symbols = (SIGN, RATE, START, END, ALONG_START, ALONG_END)
        return _State(levels, square), dict(zip(symbols, numbers, strict=True))


def _next(
    slopes: list[Any], levels: list[Any], on: list[bool], sign: int
) -> tuple[Any | None, list[int]]:
    """The step along the field to the next switch and the data that switch there."""
    steps = {
        i: -levels[i] / slope
        for i, slope in enumerate(slopes)
        if slope != 0 and (sign * slope < 0) == on[i]
    }
    if not steps:
        return None, []
    # Forwards along sign * a: the steps that are left all have that sign, or are 0.
    least = min(steps.values(), key=lambda step: sign * step)
    return least, [i for i, step in steps.items() if step == least]


def _require_crossing(slopes: list[Any], on: list[bool], crossed: list[int], sign: int) -> None:
    """Beyond the kink every datum that switched must go on to that side, or the neuron be dead."""
    for i in crossed:
        if any(on) and not (sign * slopes[i] > 0) == on[i]:
            raise ParameterError(
                f"the neuron would slide along the kink of datum {i}",
                expected="kinks that are crossed, as under Assumption 1",
                fix="certify another instance",
            )
