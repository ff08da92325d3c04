r"""Coordinates of the phase diagram of a two-layer network, and where initializations lie in it.

For $f = \frac1\alpha \sum_{k=1}^h a_k\,\sigma(w_k\cdot x)$ with $a_k \sim N(0, \beta_1^2)$,
$w_k \sim N(0, \beta_2^2 I_D)$ and $\sigma$ homogeneous of degree $p$, let $a = \beta_1\bar a$,
$w = \beta_2\bar w$, $t = \beta_1\beta_2\bar t$. Then $\bar a, \bar w$ start as standard normals and

$$f = \kappa\sum_k \bar a_k\,\sigma(\bar w_k\cdot x), \qquad
  \frac{d\bar a}{d\bar t} = -\frac1{\kappa'}\,\partial_{\bar a} R, \qquad
  \frac{d\bar w}{d\bar t} = -\kappa'\,\partial_{\bar w} R,$$

$$\kappa = \frac{\beta_1\beta_2^p}{\alpha}, \quad \kappa' = \frac{\beta_1}{\beta_2}, \qquad
  \gamma = -\lim_{h\to\infty}\frac{\log\kappa}{\log h}, \quad
  \gamma' = -\lim_{h\to\infty}\frac{\log\kappa'}{\log h}.$$

Source: Luo, Xu, Ma, Zhang, JMLR 22 (2021), arXiv 2007.07497, for $p = 1$; width and
dimension are $m$ and $d$ there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import S, Symbol, expand_log, limit, log, oo, powdenest, simplify, sqrt

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.network import INPUT_DIMENSION, WIDTH

EXPONENT = Symbol("b", real=True)


@dataclass(frozen=True)
class Initialization:
    r"""Scales of a two-layer network as functions of the width $h$ and dimension $D$.

    Attributes:
        name: What it is called.
        alpha: The divisor $\alpha$ of the output.
        beta1: The standard deviation $\beta_1$ of the output weights.
        beta2: The standard deviation $\beta_2$ of the input weights.
        multiplicity: The degree $p$ of the activation.
    """

    name: str
    alpha: Expr
    beta1: Expr
    beta2: Expr
    multiplicity: int = 1

    @property
    def time_unit(self) -> Expr:
        r"""$t/\bar t = \beta_1\beta_2$."""
        return self.beta1 * self.beta2

    @property
    def kappa(self) -> Expr:
        r"""$\kappa = \beta_1\beta_2^p/\alpha$: the scale of the output."""
        return simplify(self.beta1 * self.beta2**self.multiplicity / self.alpha)

    @property
    def kappa_prime(self) -> Expr:
        r"""$\kappa'$: the mobility of $\bar w$, `time_unit`$/\beta_2^2 = \beta_1/\beta_2$."""
        return simplify(self.time_unit / self.beta2**2)

    @property
    def gamma(self) -> Expr:
        r"""$\gamma = -\lim \log\kappa/\log h$."""
        return _exponent(self.kappa, self.name)

    @property
    def gamma_prime(self) -> Expr:
        r"""$\gamma' = -\lim \log\kappa'/\log h$."""
        return _exponent(self.kappa_prime, self.name)


def _exponent(scale: Expr, name: str) -> Expr:
    r"""$-\lim_{h\to\infty}\log(\text{scale})/\log h$, the dimension held fixed."""
    ratio = expand_log(log(powdenest(scale, force=True)), force=True) / log(WIDTH)
    value = -limit(ratio.expand(), WIDTH, oo)
    if not value.is_finite or value.has(WIDTH, INPUT_DIMENSION):
        raise ParameterError(
            f"{name}: the scale {scale} is not a power of h as h grows",
            expected="scales that behave as powers of the width",
            fix="write them in flowtheory.symbolic.network.WIDTH",
        )
    return value


def _named(*rows: tuple[str, Expr, Expr, Expr]) -> dict[str, Initialization]:
    return {name: Initialization(name, *scales) for name, *scales in rows}


_H, _D, _ONE = WIDTH, INPUT_DIMENSION, S.One
INITIALIZATIONS: Mapping[str, Initialization] = _named(
    ("lecun", _ONE, sqrt(1 / _H), sqrt(1 / _D)),
    ("he", _ONE, sqrt(2 / _H), sqrt(2 / _D)),
    ("xavier", _ONE, sqrt(2 / (_H + 1)), sqrt(2 / (_H + _D))),
    ("ntk", sqrt(_H), _ONE, _ONE),
    ("mean-field", _H, _ONE, _ONE),
    ("e-ma-wu", _ONE, _H**-EXPONENT, _ONE),
    ("pytorch", _ONE, 1 / sqrt(3 * _H), 1 / sqrt(3 * _D)),
    ("equal", _ONE, _H**-EXPONENT, _H**-EXPONENT),
)
"""Initializations in use; `e-ma-wu` and `equal` have the standard deviation $h^{-b}$."""


def find_initialization(name: str, multiplicity: int = 1) -> Initialization:
    """The named initialization, for an activation of the given multiplicity.

    Raises:
        UnknownNameError: No initialization has that name.
        ParameterError: `multiplicity` is no positive integer.
    """
    if name not in INITIALIZATIONS:
        raise unknown_name("initialization", name, INITIALIZATIONS)
    if not isinstance(multiplicity, int) or multiplicity < 1:
        raise ParameterError(
            f"the multiplicity is {multiplicity!r}",
            expected="a positive integer",
            fix="1 for ReLU and tanh",
        )
    row = INITIALIZATIONS[name]
    return Initialization(name, row.alpha, row.beta1, row.beta2, multiplicity)
