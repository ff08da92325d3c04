r"""Expansion at small initialization scale, in truncated power-series arithmetic.

With parameters $\theta = \varepsilon\tilde\theta$, an expression becomes a polynomial in
$\varepsilon$ plus a remainder. A series is a dictionary {power: coefficient} that holds every power
up to the truncation order; sums, products and positively homogeneous activations are exact on it,
other functions are expanded by Taylor's formula about their value at $\varepsilon = 0$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import factorial

from sympy import Add, Dummy, Function, Mul, Pow, S, Sum, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import tidy

Series = dict[int, Expr]

SCALE = Symbol("epsilon", positive=True)
BIG_O = Function("O")


@dataclass(frozen=True)
class Expansion:
    r"""$\sum_m c_m \varepsilon^m + O(\varepsilon^{M+1})$.

    Attributes:
        coefficients: The non-zero (power $m$, coefficient $c_m$), in increasing order of $m$.
        order: The highest power $M$ that was computed.
        exact: Whether nothing was left out, so that there is no remainder.
    """

    coefficients: tuple[tuple[int, Expr], ...]
    order: int
    exact: bool

    def __getitem__(self, power: int) -> Expr:
        r"""The coefficient of $\varepsilon^m$."""
        return dict(self.coefficients).get(power, S.Zero)

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers with a non-zero coefficient."""
        return tuple(power for power, _ in self.coefficients)

    @property
    def degree(self) -> int:
        """The lowest positive power: the degree of the leading homogeneous part."""
        return next((p for p in self.powers if p > 0), self.order + 1)

    @property
    def gap(self) -> int:
        """The distance from `degree` to the next power: the relative order of the correction."""
        return next((p for p in self.powers if p > self.degree), self.order + 1) - self.degree

    def up_to(self, power: int, scale: Expr = SCALE) -> Expr:
        """The terms up to `power`, plus $O$ of the first one left out, if any is."""
        kept = Add(*(c * scale**m for m, c in self.coefficients if m <= power))
        left = next((m for m in self.powers if m > power), self.order + 1)
        nothing_left = self.exact and left > self.order
        return kept if nothing_left else kept + BIG_O(scale**left)


def expand_in_scale(expr: Expr, scales: Mapping[IndexedBase, int], order: int) -> Expansion:
    r"""Expand `expr` in $\varepsilon$ up to $\varepsilon^M$, $M$ = `order`.

    Args:
        expr: An index-notation expression.
        scales: The tensors that are scaled, with the power of $\varepsilon$ each.
        order: The highest power kept.

    Raises:
        ParameterError: A kinked activation meets an argument with several powers of $\varepsilon$,
            where no power series exists.
    """
    expander = _Expander(dict(scales), order)
    series = expander.series(expr)
    tidied = ((power, tidy(contract(c))) for power, c in sorted(series.items()))
    return Expansion(tuple((power, c) for power, c in tidied if c != 0), order, expander.exact)


@dataclass
class _Expander:
    """Coefficients of the scale, node by node, truncated at `order`."""

    scales: dict[IndexedBase, int]
    order: int
    exact: bool = True

    def series(self, expr: Expr) -> Series:
        if isinstance(expr, Indexed):
            return self._kept(self.scales.get(expr.base, 0), expr)
        if not self._depends(expr):
            return {0: expr}
        if isinstance(expr, Add):
            return _add([self.series(arg) for arg in expr.args])
        if isinstance(expr, Mul):
            return self._multiply([self.series(arg) for arg in expr.args])
        if isinstance(expr, Pow) and expr.exp.is_Integer and expr.exp > 0:
            return self._multiply([self.series(expr.base)] * int(expr.exp))
        if isinstance(expr, Sum):
            body = self.series(expr.function)
            return {power: Sum(c, *expr.limits) for power, c in body.items()}
        if isinstance(expr, Ramp):
            return self._homogeneous(expr)
        return self._taylor(expr)

    def _kept(self, power: int, coefficient: Expr) -> Series:
        self.exact = self.exact and power <= self.order
        return {power: coefficient} if power <= self.order else {}

    def _depends(self, expr: Expr) -> bool:
        return any(entry.base in self.scales for entry in expr.atoms(Indexed))

    def _multiply(self, factors: list[Series]) -> Series:
        terms: list[Series] = []
        for combination in product(*(factor.items() for factor in factors)):
            power = sum(power for power, _ in combination)
            terms.append(self._kept(power, Mul(*(c for _, c in combination))))
        return _add(terms)

    def _homogeneous(self, expr: Ramp) -> Series:
        r"""$\sigma(\varepsilon^m z) = \varepsilon^{m} \sigma(z)$."""
        inner = self.series(expr.args[0])
        if len(inner) > 1:
            raise ParameterError(
                f"{expr.func.__name__} has an argument with powers {sorted(inner)} of the scale",
                expected="an argument that is homogeneous in the scaled parameters",
                fix="scale biases and weights of this layer with the same power",
            )
        return {power: expr.func(z, *expr.args[1:]) for power, z in inner.items()}

    def _taylor(self, expr: Expr) -> Series:
        r"""$g(u_0 + \delta) = \sum_m g^{(m)}(u_0)\, \delta^m / m!$ in the one scaled argument."""
        scaled = [k for k, arg in enumerate(expr.args) if self._depends(arg)]
        if len(scaled) != 1:
            raise ParameterError(
                f"{expr.func.__name__} has {len(scaled)} arguments that depend on the scale",
                expected="one",
                fix="rewrite it, for example a**b as exp(b*log(a))",
            )
        (k,) = scaled
        self.exact = False
        slot = Dummy(real=True)
        head = expr.func(*(slot if m == k else arg for m, arg in enumerate(expr.args)))
        delta = self.series(expr.args[k])
        centre = delta.pop(0, S.Zero)
        lowest = min(delta, default=self.order + 1)
        terms, power = [{0: head.subs(slot, centre)}], {0: S.One}
        for m in range(1, self.order // lowest + 1):
            power = self._multiply([power, delta])
            value = head.diff(slot, m).subs(slot, centre) / factorial(m)
            terms.append({p: value * c for p, c in power.items()})
        return _add(terms)


def _add(terms: list[Series]) -> Series:
    total: dict[int, list[Expr]] = {}
    for term in terms:
        for power, c in term.items():
            total.setdefault(power, []).append(c)
    return {power: Add(*cs) for power, cs in total.items()}
