r"""A leading flow as JAX code, and the numbers that it takes from data.

The field depends on the data through the weights $c_i$ at the saddle, and where it is a polynomial
of the data through a few moments, whose size does not grow with the number of samples. Both are
computed once, by the expressions that the engine derived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Symbol

from flowtheory.clock import Reduction
from flowtheory.errors import DataError
from flowtheory.lower.lower import lower, lower_all
from flowtheory.precision import float64
from flowtheory.symbolic.effective import EffectiveFlow, effective_flow
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import free_axes
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.moments import Moment, MomentForm
from flowtheory.symbolic.network import Network

Arrays = Mapping[str, Any]

VANISHING = 1e-10
"""Below this fraction of its terms' absolute values, a data moment counts as zero."""


@dataclass(frozen=True)
class LoweredFlow:
    r"""The leading flow $\dot\theta = \nabla H$ as array code.

    Call it with parameters and the result of `prepare` to get the rates, by name and with the
    shapes of the parameters; those of tensors that do not move are zero. It can be jitted,
    differentiated and vmapped inside `with flowtheory.float64():`.

    Example:
        >>> import numpy as np
        >>> import flowtheory as ft
        >>> eff = ft.effective_flow(ft.fully_connected(2, "tanh"), "half_square")
        >>> flow = ft.vector_field(eff)
        >>> with ft.float64():
        ...     given = flow.prepare(x=np.eye(2), y=np.array([1.0, 2.0]))
        ...     rates = flow({"W": np.eye(2), "v": np.ones(2)}, given)
        ...     print(rates["v"])
        [1. 2.]

    Attributes:
        flow: The symbolic flow.
    """

    flow: LeadingFlow

    @cached_property
    def _forms(self) -> tuple[MomentForm, ...]:
        return tuple(self.flow.fold(rate) for _, rate in self.flow.field.components)

    @property
    def _folded(self) -> list[tuple[Indexed, Expr]]:
        pairs = zip(self.flow.field.components, self._forms, strict=True)
        return [(entry, form.expression) for (entry, _), form in pairs]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers that the field takes from the data."""
        return tuple(map(str, self._given))

    @cached_property
    def _given(self) -> tuple[IndexedBase | Symbol, ...]:
        parameters = set(self.flow.network.bases)
        found: dict[Any, None] = {}
        for _, rate in self._folded:
            entries = sorted(rate.atoms(Indexed), key=str)
            found |= dict.fromkeys(e.base for e in entries if e.base not in parameters)
            found |= dict.fromkeys(_scalars(self.flow, rate))
        # A size that no array of the field has any more, such as the number of samples in a mean.
        known = {s for base in (*parameters, *found) for s in getattr(base, "shape", ())}
        sizes = {s for base in self.flow.network.data for s in base.shape} - known
        used = {s for _, rate in self._folded for s in rate.free_symbols}
        return (*found, *sorted(sizes & used, key=str))

    @cached_property
    def _rates(self) -> Callable[..., Any]:
        arguments = (*self.flow.network.bases, *self._given)
        return lower_all([(rate, entry.indices) for entry, rate in self._folded], arguments)

    def __call__(self, params: Arrays, given: Arrays) -> dict[str, Any]:
        """The rates at `params`, with `given` from `prepare`."""
        names = [str(base) for base in self.flow.network.bases]
        values = (*(params[name] for name in names), *(given[name] for name in self.names))
        moving = [str(entry.base) for entry, _ in self._folded]
        rates = dict(zip(moving, self._rates(*values), strict=True))
        return {name: rates[name] if name in rates else 0.0 * params[name] for name in names}

    def prepare(self, **data: Any) -> dict[str, Any]:
        """What the field takes from data: weights, moments and the fitted constant.

        Args:
            data: Arrays by name: `x`, `y`, the constants of the network, and values of its symbols.

        Raises:
            DataError: An array is missing, or shapes clash.
        """
        known = at_saddle(self.flow, data)
        moments = {str(m.entry.base): m for form in self._forms for m in form.moments}
        for name in self.names:
            if name in moments:
                known[name] = moment_value(self.flow, moments[name], known)
            elif name == str(self.flow.curvature.base):
                known[name] = _curvature(self.flow, known)
            elif name not in known:
                known[name] = lengths(self.flow, known)[name]
        return {name: known[name] for name in self.names}


def at_saddle(flow: LeadingFlow, data: Arrays) -> dict[str, Any]:
    r"""The data with $c_i$ and, after a fit, the constant $s$.

    Raises:
        DataError: An array is missing.
    """
    needed = [str(base) for base in flow.network.data]
    missing = [name for name in needed if name not in data]
    if missing:
        raise DataError(
            f"{', '.join(missing)} is missing",
            expected=f"arrays {', '.join(needed)}",
            fix=f"give {missing[0]} by name",
        )
    known = {name: np.asarray(value, dtype=np.float64) for name, value in data.items()}
    if flow.fit is not None:
        known["s"] = _fitted(flow, known)
    known[str(flow.weight.base)] = _evaluate(flow, flow.weight_value, flow.weight, known)
    return known


def moment_value(flow: LeadingFlow, moment: Moment, known: Arrays) -> np.ndarray:
    """The value of a data moment, for what `at_saddle` returns."""
    if str(flow.curvature.base) in moment.weights:
        known = {**known, str(flow.curvature.base): _curvature(flow, known)}
    return _evaluate(flow, moment.definition, moment.entry, known)


def _curvature(flow: LeadingFlow, known: Arrays) -> np.ndarray:
    if flow.loss.couples:
        raise DataError(
            f"the curvature of the loss {flow.loss.name!r} is needed",
            expected="a loss that is a sum over outputs",
            fix="use half_square, logistic or binary_cross_entropy",
        )
    return _evaluate(flow, flow.curvature_value, flow.curvature, known)


def _fitted(flow: LeadingFlow, known: Arrays) -> Any:
    r"""The constant $s$ at which $\sum_i c_i = 0$."""
    from scipy.optimize import root

    assert flow.fit is not None
    level = flow.fit.level
    label = level.base if isinstance(level, Indexed) else level
    indices = level.indices if isinstance(level, Indexed) else ()
    arguments = [base for base in flow.network.data if flow.fit.condition.has(base)]
    function = lower(flow.fit.condition.lhs, (*arguments, label), indices)
    shape = tuple(known["y"].shape[1:])

    def slope(flat: np.ndarray) -> np.ndarray:
        with float64():
            values = function(*(known[str(a)] for a in arguments), flat.reshape(shape))
        return np.atleast_1d(np.asarray(values)).ravel()

    size = int(np.prod(shape))
    found = root(slope, np.zeros(size), method="lm", options={"xtol": 1e-15})
    # A slope that is small because the loss saturates leaves a Newton step of order 1.
    steps = 1e-4 * np.eye(size)
    rise = np.array([(slope(found.x + e) - slope(found.x - e)) @ e / 2e-8 for e in steps])
    if not np.all(np.abs(slope(found.x)) <= 1e-6 * np.abs(rise)):
        raise DataError(
            f"no constant fits the labels best under the loss {flow.loss.name!r}",
            expected="labels of more than one class",
            fix="check the labels: a constant that is infinitely good has no saddle",
        )
    return found.x.reshape(shape)


def _evaluate(flow: LeadingFlow, expr: Expr, entry: Indexed, known: Arrays) -> np.ndarray:
    """An expression of data with the indices of `entry`, in float64; repeated where constant."""
    bases = sorted({e.base for e in expr.atoms(Indexed)}, key=str)
    scalars = [s for s in expr.free_symbols if type(s) is Symbol and str(s) in known]
    scalars = [s for s in scalars if not any(s == b.label for b in bases)]
    free = [i for i in entry.indices if i in free_axes(expr)]
    function = lower(expr, (*bases, *scalars), free)
    with float64():
        value = np.asarray(function(*(known[str(a)] for a in (*bases, *scalars))))
    if len(free) == len(entry.indices):
        return value
    sizes = lengths(flow, known)
    places = [slice(None) if i in free else np.newaxis for i in entry.indices]
    return np.broadcast_to(value[tuple(places)], tuple(int(sizes[str(s)]) for s in entry.shape))


def lengths(flow: LeadingFlow, known: Arrays) -> dict[str, np.ndarray]:
    """The sizes of the data, by name."""
    return {
        str(extent): np.asarray(float(length))
        for base in flow.network.data
        for extent, length in zip(base.shape, np.shape(known[str(base)]), strict=True)
    }


def _scalars(flow: LeadingFlow, rate: Expr) -> list[Symbol]:
    """The symbols of a rate that are neither sizes, indices nor labels of tensors."""
    level = flow.fit.level if flow.fit else None
    own = [level] if isinstance(level, Symbol) else []
    return [s for s in (*flow.network.symbols, *own) if s in rate.free_symbols]


def vector_field(flow: LeadingFlow) -> LoweredFlow:
    """The leading flow as a JAX vector field; nothing is compiled before the first call."""
    return LoweredFlow(flow)


def effective_flow_at(
    network: Network,
    loss: str | Expr | Loss = "half_square",
    *,
    reduction: Reduction | None = None,
    scales: Mapping[str, int] | None = None,
    data: Arrays | None = None,
) -> EffectiveFlow:
    r"""Derive the leading flow of a network under a loss, and with it what follows from it.

    Args:
        network: Any network.
        loss: A loss, the name of one, or an expression in y and f.
        reduction: "sum" or "mean" over samples; by default that of the loss.
        scales: The powers $\alpha_l \ge 0$ of $\varepsilon$ by tensor; 1 for those left out.
        data: Arrays by name, such as {"x": ..., "y": ...}. Data moments that are zero (below
            `VANISHING` of what their terms could add up to) are left out, which may raise the
            degree; `EffectiveFlow.vanished` lists them.

    Raises:
        ParameterError: As `flowtheory.symbolic.leading_flow`.
        DataError: An array is missing, or shapes clash.
    """
    if data is None:
        return effective_flow(network, loss, reduction=reduction, scales=scales)
    flow = leading_flow(network, loss, reduction=reduction, scales=scales)
    known = at_saddle(flow, data)

    def vanishes(moment: Moment) -> bool:
        if flow.loss.couples and str(flow.curvature.base) in moment.weights:
            return False
        value = moment_value(flow, moment, known)
        scale = moment_value(flow, moment, {name: np.abs(array) for name, array in known.items()})
        return bool(np.max(np.abs(value)) <= VANISHING * np.max(scale))

    return effective_flow(network, loss, reduction=reduction, scales=scales, vanishes=vanishes)
