r"""Expansion at small initialization scale, in truncated power-series arithmetic.

With parameters $\theta = \varepsilon\tilde\theta$, an expression becomes a polynomial in
$\varepsilon$ plus a remainder. A series is a dictionary {power: coefficient} that holds every power
up to the truncation order; sums, products, positively homogeneous activations and roots of
homogeneous expressions are exact on it, other functions are expanded by Taylor's formula about
their value at $\varepsilon = 0$.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from sympy import Add, Dummy, Function, Mul, Pow, S, Sum, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, sum_over, tidy
from flowtheory.symbolic.ramp import Ramp
from flowtheory.symbolic.taylor import taylor

Series = dict[int, Expr]

SCALE = Symbol("epsilon", positive=True)
BIG_O = Function("O")

ORDER_LIMIT = 64
"""How far beyond the first possible power the leading and the next term are looked for."""

_SLOT, _CENTRE = Dummy("slot", real=True), Dummy("centre", real=True)
_SEARCHED = 8


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
        ParameterError: A kinked activation, or a root or a reciprocal of what vanishes with
            $\varepsilon$, meets an argument with several powers, where no power series exists.
    """
    expander = _Expander(dict(scales))
    series = expander.series(expr, order)
    tidied = ((power, tidy(contract(c))) for power, c in sorted(series.items()))
    return Expansion(tuple((power, c) for power, c in tidied if c != 0), order, expander.exact)


def expand_to_gap(
    expr: Expr, scales: Mapping[IndexedBase, int], start: int, limit: int = ORDER_LIMIT
) -> Expansion:
    r"""The expansion of `expr` beyond its second non-zero positive power $k + q$, or all of it.

    The order is raised from `start` to at most `start` + `limit`, until the second power is found;
    the expansion then goes up to $k + 2q - 1$, below the next power in the usual case.
    """
    step = 1
    while True:
        expansion = expand_in_scale(expr, scales, start + step)
        found = sum(power > 0 for power in expansion.powers)
        if found > 1 or expansion.exact or step >= limit:
            break
        step *= 2
    full = expansion.degree + 2 * expansion.gap - 1
    if expansion.exact or found < 2 or full <= expansion.order:
        return expansion
    return expand_in_scale(expr, scales, full)


def leading_power(expr: Expr, scales: Mapping[IndexedBase, int]) -> int:
    """A lower bound of the first power of the scale in `expr`; attained but for cancellations."""
    return _Expander(dict(scales)).lowest(expr)


@dataclass
class _Expander:
    r"""Coefficients of the scale, node by node, each node to the order that its parent needs.

    With lower bounds $v$ of the leading powers, a product $a b$ up to $\varepsilon^N$ needs $a$ up
    to $N - v_b$, and a function that starts with $u^p$ needs $u$ up to $N - (p - 1) v_u$. A deep
    network is therefore expanded near its leading power only, however high that is.
    """

    scales: dict[IndexedBase, int]
    exact: bool = True
    memo: dict[tuple[Expr, int], Series] = field(default_factory=dict)
    leading: dict[Expr, int] = field(default_factory=dict)

    def series(self, expr: Expr, order: int) -> Series:
        if (expr, order) not in self.memo:
            self.memo[expr, order] = self._expand(expr, order)
        return self.memo[expr, order]

    def _expand(self, expr: Expr, order: int) -> Series:
        if self.lowest(expr) > order:
            self.exact = False
            return {}
        if isinstance(expr, Indexed):
            return {self.scales.get(expr.base, 0): expr}
        if not self._depends(expr):
            return {0: expr}
        if isinstance(expr, Add):
            return _add([self.series(arg, order) for arg in expr.args])
        if isinstance(expr, Mul) or _is_power(expr):
            return self._product(_factors(expr), order)
        if isinstance(expr, Sum):
            body = self.series(expr.function, order)
            return {power: sum_over(c, *axes_of(expr)) for power, c in body.items()}
        if isinstance(expr, Ramp):
            return self._homogeneous(expr, order)
        if self._is_root(expr):
            return self._root(expr, order)
        return self._taylor(expr, order)

    def lowest(self, expr: Expr) -> int:
        """A lower bound of the leading power of `expr`."""
        if expr not in self.leading:
            self.leading[expr] = self._lowest(expr)
        return self.leading[expr]

    def _lowest(self, expr: Expr) -> int:
        if isinstance(expr, Indexed):
            return self.scales.get(expr.base, 0)
        if not self._depends(expr):
            return 0
        if isinstance(expr, Add):
            return min(map(self.lowest, expr.args))
        if isinstance(expr, Mul) or _is_power(expr):
            return sum(map(self.lowest, _factors(expr)))
        if isinstance(expr, Sum):
            return self.lowest(expr.function)
        argument = self._scaled_argument(expr)
        inner = self.lowest(argument)
        if self._is_root(expr):
            return self._root_power(expr)
        if inner < 0:
            raise ParameterError(
                f"{expr.func.__name__} has an argument that diverges with the scale: {argument}",
                expected="an argument with a limit at small scale",
                fix="use a function that is analytic at 0, or positively homogeneous",
            )
        if isinstance(expr, Ramp) or inner == 0:
            return inner
        coefficients = _coefficients(expr, argument, S.Zero, _SEARCHED)
        first = next((m for m, c in enumerate(coefficients) if c != 0), _SEARCHED + 1)
        return first * inner

    def _depends(self, expr: Expr) -> bool:
        return any(entry.base in self.scales for entry in expr.atoms(Indexed))

    def _scaled_argument(self, expr: Expr) -> Expr:
        scaled = [arg for arg in expr.args if self._depends(arg)]
        if len(scaled) != 1:
            raise ParameterError(
                f"{expr.func.__name__} has {len(scaled)} arguments that depend on the scale",
                expected="one",
                fix="rewrite it, for example a**b as exp(b*log(a))",
            )
        return scaled[0]

    def _product(self, factors: Sequence[Expr], order: int) -> Series:
        spare = order - sum(map(self.lowest, factors))
        total: Series = {0: S.One}
        reached = 0
        for factor in factors:
            reached += self.lowest(factor)
            total = self._times(
                total, self.series(factor, self.lowest(factor) + spare), reached + spare
            )
        return total

    def _times(self, a: Series, b: Series, order: int) -> Series:
        terms: list[Series] = []
        for (i, c), (j, d) in product(a.items(), b.items()):
            if i + j <= order:
                terms.append({i + j: c * d})
            else:
                self.exact = False
        return _add(terms)

    def _homogeneous(self, expr: Ramp, order: int) -> Series:
        r"""$\sigma(\varepsilon^m z) = \varepsilon^{m} \sigma(z)$."""
        inner = self.series(expr.args[0], order)
        if len(inner) > 1:
            raise ParameterError(
                f"{expr.func.__name__} has an argument with powers {sorted(inner)} of the scale",
                expected="an argument that is homogeneous in the scaled parameters",
                fix="scale biases and weights of this layer with the same power",
            )
        return {power: expr.func(z, *expr.args[1:]) for power, z in inner.items()}

    def _is_root(self, expr: Expr) -> bool:
        r"""Whether `expr` is a fractional or negative power of what vanishes with the scale."""
        if not isinstance(expr, Pow) or self._depends(expr.exp):
            return False
        return self.lowest(expr.base) > 0

    def _root_power(self, expr: Pow) -> int:
        power = self.lowest(expr.base) * expr.exp
        if not power.is_Integer:
            raise ParameterError(
                f"{expr} is of the order {power} in the scale",
                expected="an integer power of the scale",
                fix="multiply all scales by a common denominator",
            )
        return int(power)

    def _root(self, expr: Pow, order: int) -> Series:
        r"""$(\varepsilon^m z)^a = \varepsilon^{am} z^a$, for $z$ without further powers."""
        lowest = self.lowest(expr.base)
        power = self._root_power(expr)
        inner = self.series(expr.base, lowest + order - power)
        if set(inner) != {lowest}:
            raise ParameterError(
                f"{expr} is a power of an expression with powers {sorted(inner)} of the scale",
                expected="a base that is homogeneous in the scaled parameters",
                fix="give the tensors in it the same scale",
            )
        return {power: inner[lowest] ** expr.exp}

    def _taylor(self, expr: Expr, order: int) -> Series:
        r"""$g(u_0 + \delta) = \sum_m c_m \delta^m$ in the one scaled argument."""
        self.exact = False
        argument = self._scaled_argument(expr)
        lowest = self.lowest(argument)
        centre = S.Zero if lowest > 0 else self.series(argument, 0).get(0, S.Zero)
        coefficients = _coefficients(expr, argument, centre, order // max(lowest, 1))
        first = next((m for m, c in enumerate(coefficients) if m > 0 and c != 0), 1)
        delta = dict(self.series(argument, order - (first - 1) * lowest))
        delta.pop(0, None)
        terms: list[Series] = [{0: coefficients[0]}]
        power: Series = {0: S.One}
        for c in coefficients[1:]:
            power = self._times(power, delta, order)
            terms.append({p: c * value for p, value in power.items()} if c != 0 else {})
        return _add(terms)


def _is_power(expr: Expr) -> bool:
    return isinstance(expr, Pow) and bool(expr.exp.is_Integer) and expr.exp > 0


def _factors(expr: Expr) -> tuple[Expr, ...]:
    return expr.args if isinstance(expr, Mul) else (expr.base,) * int(expr.exp)


def _coefficients(expr: Expr, argument: Expr, centre: Expr, order: int) -> tuple[Expr, ...]:
    """The Taylor coefficients of `expr` in its `argument`, about `centre`."""
    known = centre if centre.is_number else _CENTRE
    head = expr.func(*(known + _SLOT if arg == argument else arg for arg in expr.args))
    found = taylor(head, _SLOT, order)
    return found if known is centre else tuple(c.xreplace({_CENTRE: centre}) for c in found)


def _add(terms: list[Series]) -> Series:
    total: dict[int, list[Expr]] = {}
    for term in terms:
        for power, c in term.items():
            total.setdefault(power, []).append(c)
    sums = {power: Add(*cs) for power, cs in total.items()}
    return {power: c for power, c in sums.items() if c != 0}
