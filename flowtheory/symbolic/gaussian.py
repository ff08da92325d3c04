r"""Kernels of a Gaussian layer: correlations of an activation at two inputs, in closed form.

For $w \sim N(0, 1)$ and inputs $x, x'$ with the correlation $\rho = \cos\angle(x, x')$ let

$$K^a = \mathbb E\,\sigma(w\cdot x)\,\sigma(w\cdot x'), \qquad
  K^w = x\cdot x'\;\mathbb E\,\sigma'(w\cdot x)\,\sigma'(w\cdot x').$$

Price's theorem, $\partial_\rho \mathbb E f(u)g(v) = \mathbb E f'(u)g'(v)$ for standard normals $u$,
$v$ of the correlation $\rho$, takes $\mathbb E|u||v|$ to $\mathbb E\,\mathrm{sgn}\,u\,
\mathrm{sgn}\,v$ and that to $4$ times the density of $(u, v)$ at 0. A function that is linear on
both sides of 0 is a combination of $z$ and $|z|$, and mixed terms vanish by symmetry.

Source: Price, IRE Trans. Inf. Theory 4 (1958) for the theorem; Cho, Saul, NeurIPS 2009, for the
kernels of ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Rational, S, Symbol, integrate, pi, sqrt

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.expression import Expr

CORRELATION = Symbol("rho", real=True)
NORM, OTHER_NORM = Symbol("r", positive=True), Symbol("r'", positive=True)
_MEANINGS = {
    NORM: "norm of the first input",
    OTHER_NORM: "norm of the second input",
    CORRELATION: "cosine of the angle between the inputs",
}


@dataclass(frozen=True)
class GaussianKernels:
    r"""The kernels of a network of two layers at its start, with deviations 1.

    Attributes:
        output: $K^a(x, x')$, of the output weights.
        hidden: $K^w(x, x')$, of the input weights.
    """

    output: Formula
    hidden: Formula


def gaussian_kernels(activation: Activation) -> GaussianKernels:
    r"""The kernels of $\sigma(z) = r z^+ - l z^-$, in units of its leading coefficient.

    Raises:
        ParameterError: The activation is not positively homogeneous of degree 1.
    """
    form = activation.local
    linear = form.analytic and form.next_order is None
    if form.multiplicity != 1 or form.constant != 0 or not (linear or not form.analytic):
        raise ParameterError(
            f"{activation.name} is not positively homogeneous of degree 1",
            expected="an activation such as relu, leaky_relu or identity",
            fix="average over w by quadrature: flowtheory.phase.lazy",
        )
    even, odd = ((1 + s * form.left / form.leading) * Rational(1, 2) for s in (-1, 1))
    rho = CORRELATION
    density = 1 / (2 * pi * sqrt(1 - rho**2))
    signs = _from_zero(4 * density, S.Zero)  # E sgn u sgn v
    sizes = _from_zero(signs, 2 / pi)  # E |u| |v|, which is (E |u|)^2 at rho = 0
    output = NORM * OTHER_NORM * (odd**2 * rho + even**2 * sizes)
    hidden = NORM * OTHER_NORM * rho * (odd**2 + even**2 * signs)
    names = ("kernel of the output weights", "kernel of the input weights")
    domain = (rho <= 1, rho >= -1)
    source = "Cho, Saul 2009" if form.left == 0 else "derived here"
    return GaussianKernels(
        *(
            Formula(f"{activation.name}: {name}", kernel, _MEANINGS, domain, S.Zero, source)
            for name, kernel in zip(names, (output, hidden), strict=True)
        )
    )


def _from_zero(rate: Expr, at_zero: Expr) -> Expr:
    r"""The function of $\rho$ with this derivative and this value at 0."""
    found = integrate(rate, CORRELATION)
    return found - found.subs(CORRELATION, 0) + at_zero
