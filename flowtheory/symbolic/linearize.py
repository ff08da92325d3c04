r"""Spectra of $-\nabla^2 L$ at saddles: which directions grow, how fast, and how many of them.

At a rank-$r$ saddle of a deep linear network the Hessian falls into blocks of at most two
parameters, in the singular frame of the moment. `origin` has the saddle at zero parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Add, Integer, Matrix, Rational, S, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import size


@dataclass(frozen=True)
class Spectrum:
    r"""Eigenvalues of the linearized flow $\dot\theta = -\nabla^2 L\,\theta$, with multiplicities.

    Attributes:
        parts: Pairs (growth rate, number); rates may repeat, the last one is 0. A rate with a free
            index stands for one rate for each of its values, all of which the number counts.
    """

    parts: tuple[tuple[Expr, Expr], ...]

    @property
    def dimension(self) -> Expr:
        """The number of parameters."""
        return Add(*(count for _, count in self.parts)).expand()

    def count(self, sense: int) -> Expr:
        """The number of positive (1), zero (0) or negative (-1) rates; their signs must be known.

        Raises:
            ParameterError: The sign of a rate is not decided by the assumptions on its symbols.
        """
        total: Expr = S.Zero
        for rate, count in self.parts:
            known = (rate.is_positive, rate.is_zero, rate.is_negative)
            if True not in known:
                raise ParameterError(
                    f"the sign of {rate} is not known",
                    expected="numbers, or symbols whose assumptions decide it",
                    fix="substitute numbers for the singular values",
                )
            total += count if (1, 0, -1)[known.index(True)] == sense else 0
        return total

    @property
    def is_strict_saddle(self) -> bool:
        """Whether some direction grows exponentially; False does not make a point a minimum."""
        return self.count(1) != 0

    def subs(self, *args: Any) -> Spectrum:
        """The spectrum with values substituted, as `Expr.subs`."""
        pairs = ((sympify(rate).subs(*args), sympify(n).subs(*args)) for rate, n in self.parts)
        return Spectrum(tuple(pairs))


def deep_linear_saddle(
    depth: int,
    kept: Sequence[Any],
    dropped: Sequence[Any],
    *,
    width: Any = None,
    inputs: Any = None,
    outputs: Any = None,
) -> Spectrum:
    r"""The spectrum of $-\nabla^2 L$ at a saddle of $L = \frac12|W_L\cdots W_1 - M|_F^2$.

    The saddle keeps the singular values $s_i$ of $M$ in `kept`, each with the gain
    $w_i = s_i^{1/L}$ in every layer (balanced), and has no others. For $i$ kept and $j$ dropped

    $$\text{rate} = w_i^{L-2}(s_j - s_i),\quad w_i^{L-2}(-s_j - s_i).$$

    For $L \ge 3$ all rates are $\le 0$ when the largest values are kept, although the point is a
    saddle: the dropped block is stationary to order $L$, and a Hessian does not see it. For $L = 2$
    the idle hidden units add $\pm s_j$.

    Args:
        depth: $L \ge 2$, the number of layers.
        kept: The $s_i > 0$ that are fitted; empty for the origin.
        dropped: All other positive singular values of $M$.
        width: Hidden units in every hidden layer, at least the number of `kept`; a symbol, `h` by
            default.
        inputs: The input dimension, `D` by default.
        outputs: The output dimension, `C` by default.
    """
    keep, drop = (tuple(map(sympify, values)) for values in (kept, dropped))
    h, D, C = (
        size(name) if value is None else sympify(value)
        for name, value in zip("hDC", (width, inputs, outputs), strict=True)
    )
    _check(depth, keep, drop, (h, D, C))
    r, q = len(keep), len(drop)
    parts: list[tuple[Expr, Expr]] = []
    for s in keep:
        gain = s ** Rational(1, depth)
        for t in drop:
            # The first-layer weight from the dropped input to i, and the last-layer weight back.
            block = Matrix([[-(gain ** (2 * depth - 2)), t * gain ** (depth - 2)]] * 2)
            block[1, :] = block[1, ::-1]
            rates: Any = block.eigenvals()
            parts += [(rate, Integer(n)) for rate, n in rates.items()]
        # Inputs and outputs that the moment does not see.
        parts.append((-(gain ** (2 * depth - 2)), D + C - 2 * (r + q)))
    gains = [s ** Rational(1, depth) for s in keep]
    for a in gains:
        for b in gains:
            # One entry (a, b) in each layer: the product moves along a single combination of them.
            weights = ((a ** (depth - 1 - m) * b**m) ** 2 for m in range(depth))
            parts.append((-Add(*weights), S.One))
    if depth == 2:
        parts += [(sense * t, h - r) for t in drop for sense in (1, -1)]
    parts = [(rate, count) for rate, count in parts if count != 0]
    total = h * D + (depth - 2) * h**2 + C * h
    zeros = (total - Add(*(count for _, count in parts))).expand()
    return Spectrum((*parts, (S.Zero, zeros)))


def _check(
    depth: int, keep: tuple[Expr, ...], drop: tuple[Expr, ...], sizes: tuple[Expr, ...]
) -> None:
    if not isinstance(depth, int) or depth < 2:
        raise ParameterError(f"depth is {depth!r}", expected="an integer >= 2", fix="depth=2")
    for s in (*keep, *drop):
        if not s.is_positive:
            raise ParameterError(
                f"the singular value {s} is not known to be positive",
                expected="positive numbers, or symbols with positive=True",
                fix="leave out vanishing singular values",
            )
    least = (len(keep), len(keep) + len(drop), len(keep) + len(drop))
    for name, extent, bound in zip(("width", "inputs", "outputs"), sizes, least, strict=True):
        if (extent - bound).is_negative:
            raise ParameterError(
                f"{name} is {extent}", expected=f"at least {bound}", fix="drop singular values"
            )
