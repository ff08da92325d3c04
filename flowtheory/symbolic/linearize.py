r"""Spectra of $-\nabla^2 L$ at saddles: which directions grow, how fast, and how many of them.

At the origin a network of degree 2 has $-L + L(0) = \sum_j a_j^T M w_j$, so that the spectrum is
that of the moment $M$ repeated for every neuron. At a rank-$r$ saddle of a deep linear network the
Hessian falls into blocks of at most two parameters, in the singular frame of the moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Add, Integer, Matrix, Rational, S, sqrt, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import index, size
from flowtheory.symbolic.leading import LeadingFlow


@dataclass(frozen=True)
class Spectrum:
    r"""Eigenvalues of the linearized flow $\dot\theta = -\nabla^2 L\,\theta$, with multiplicities.

    Attributes:
        parts: Pairs (growth rate, multiplicity); rates may repeat, the last one is 0.
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


def linearize_origin(flow: LeadingFlow) -> Spectrum:
    r"""The spectrum at the origin of a smooth two-layer network with one output.

    The output weight obeys $\ddot v_j = \lambda^2 v_j$, which is read off the derived field; then
    $\pm\lambda$ have the multiplicity $h$ each, and the $h(D - 1)$ other directions do not move.
    $\lambda^2 = |z|^2$ with $z = \sum_i c_i x_i$ for $\sigma'(0) = 1$.

    Raises:
        ParameterError: The degree is not 2 (the Hessian vanishes at the origin), or the activation
            has a kink (there is none).
    """
    if flow.degree != 2:
        raise ParameterError(
            f"the degree is {flow.degree}",
            expected="degree 2: above it the Hessian at the origin is 0",
            fix="use the blow-up time of the leading flow",
        )
    if flow.potential.has(Ramp):
        raise ParameterError(
            f"{flow.network.name} has a kink at the origin",
            expected="a smooth activation",
            fix="linearize within one activation pattern",
        )
    v, W = flow.network.parameter("v"), flow.network.parameter("W")
    other = v.base[index("k")]
    acceleration = flow.field.along(flow.field[v])
    square = gradient(acceleration, other).xreplace({other.indices[0]: v.indices[0]})
    rate = sqrt(square)
    width, inputs = W.shape
    zero = (S.Zero, width * (inputs - 1))
    return Spectrum(((rate, width), (-rate, width), zero))


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
