r"""The blow-up of a derived leading flow: its degree, field and bounds, from the expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from sympy import Add

from flowtheory.errors import ParameterError
from flowtheory.flow.blowup import RTOL, BlowUp, Bracket, gain_for
from flowtheory.flow.blowup import blow_up as integrate
from flowtheory.flow.coordinates import Polar, SundmanFlow, Tree, to_polar
from flowtheory.flow.krylov import ThreeLayers, compress
from flowtheory.lower.ceiling import Ceiling, MomentTerm, is_chain, moment_term, three_layers
from flowtheory.lower.leading import LoweredFlow, at_saddle, lengths, moment_value
from flowtheory.lower.scalar import numeric
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.brackets import VALUE, Brackets
from flowtheory.symbolic.effective import EffectiveFlow

_RANK_ONE = 1e-12
# Below _WIDE a compilation for narrow layers does not pay. 16 vectors lose 1e-13, 24 nothing.
_WIDE, _NARROW, _NARROWEST = 48, 24, 16
_COARSE = 1e-9
_LOST = 1e-2


class Prepared(NamedTuple):
    """What a leading flow takes from data.

    Attributes:
        given: As `LoweredFlow.prepare`.
        ceiling: The largest normalized potential, where it is bounded.
    """

    given: Mapping[str, Any]
    ceiling: Ceiling | None


class LeadingBlowUp:
    """The leading flow in Sundman time, with its bounds; derived once, compiled once a shape.

    Attributes:
        flow: The derived flow.
    """

    def __init__(self, flow: EffectiveFlow) -> None:
        if flow.degree <= 2 or not flow.grows or flow.is_projected or flow.potential.has(Ramp):
            raise ParameterError(
                f"the leading flow of {flow.network.name} has degree {flow.degree}",
                expected="a smooth gradient flow of degree above 2 that the data drive",
                fix="degree 2 grows exponentially; kinked flows have an event-exact solution",
            )
        self.flow = flow
        self._lowered = LoweredFlow(flow)

    @cached_property
    def moving(self) -> tuple[str, ...]:
        """The names of the tensors that move."""
        return tuple(str(entry.base) for entry in self.flow.moving)

    @cached_property
    def field(self) -> SundmanFlow:
        """The field; its arguments are the tensors at rest and what the field takes from data."""

        def gradient(params: Tree, args: Any) -> Tree:
            rest, given = args
            rates = self._lowered({**rest, **params}, given)
            return {name: rates[name] for name in params}

        return SundmanFlow(gradient, self.flow.degree)

    def prepare(self, data: Mapping[str, Any]) -> Prepared:
        """What the flow takes from data; computed once, it serves any number of starts."""
        ceiling = self.ceiling(data) if self.brackets is not None else None
        return Prepared(self._lowered.prepare(**data), ceiling)

    def __call__(
        self, params: Mapping[str, Any], data: Mapping[str, Any] | Prepared, **options: Any
    ) -> BlowUp:
        """As `blow_up`; `data` are arrays by name, or what `prepare` made of them."""
        missing = [str(b) for b in self.flow.network.bases if str(b) not in params]
        if missing:
            raise ParameterError(
                f"{', '.join(missing)} is missing", expected="all parameters", fix="give it by name"
            )
        start = {name: params[name] for name in self.moving}
        rest = {
            str(b): np.asarray(params[str(b)], dtype=np.float64) for b in self.flow.network.bases
        }
        rest = {name: value for name, value in rest.items() if name not in start}
        given, ceiling = data if isinstance(data, Prepared) else self.prepare(data)
        if self.brackets is None:
            return integrate(self.field, start, (rest, given), **options)
        if ceiling is not None and ceiling.seen:
            run = self._compressed(start, (rest, given), ceiling, options)
            if run is not None:
                return run
        return self._integrate(start, (rest, given), ceiling, options)

    def _integrate(
        self, start: Tree, args: Any, ceiling: Ceiling | None, options: Mapping[str, Any]
    ) -> BlowUp:
        found: dict[str, Any] = {"bracket": self.bracket(ceiling)}
        if not self.is_chain:
            found["gain"] = gain_for(self.flow.degree - 2)
        if ceiling is not None:
            found["rate"] = self._rate(ceiling.value)
        return integrate(self.field, start, args, **{**found, **options})

    def _compressed(
        self, start: Tree, args: Any, ceiling: Ceiling, options: Mapping[str, Any]
    ) -> BlowUp | None:
        """Three wide layers through narrow ones; None where that does not apply or loses digits."""
        terms = self._terms
        names = three_layers(terms[0]) if terms else None
        if names is None:
            return None
        first, middle, last, towards = names
        rest, given = args
        wide = min(np.shape(start[middle])) >= _WIDE
        if not wide or any(np.ndim(v) for k, v in given.items() if k != self._moment_name):
            return None
        polar = to_polar(start)
        axis, unit = ceiling.seen[first]
        W1, W2, a = (np.asarray(polar.direction[name]) for name in (first, middle, last))
        full = ThreeLayers(np.tensordot(W1, unit, axes=(axis, 0)), W2.T if towards else W2, a)
        rtol = options.get("rtol", RTOL)
        small = compress(full, _NARROWEST if rtol >= _COARSE else _NARROW)

        def named(layers: ThreeLayers, inputs: np.ndarray) -> Tree:
            W1 = np.moveaxis(np.multiply.outer(layers.c, inputs), -1, axis)
            W2 = layers.W.T if towards else layers.W
            return {first: W1, middle: W2, last: layers.a}

        one = np.ones(1)
        narrow = named(small.layers, one)
        moment = {self._moment_name: np.array([given[self._moment_name] @ unit])}
        seen = Ceiling(ceiling.value, {first: (axis, one)})
        run = self._integrate(narrow, (rest, {**given, **moment}), seen, options)
        found = run.polar.direction
        W = found[middle].T if towards else found[middle]
        now = ThreeLayers(np.take(found[first], 0, axis=axis), W, found[last])
        if not small.lost(now) <= _LOST * rtol:
            return None
        size = math.exp(run.polar.log_norm)
        ended = named(small.rebuild(full, now, size), unit)
        frozen = W1 - np.moveaxis(np.multiply.outer(full.c, unit), -1, axis)
        ended[first] = ended[first] + frozen / size
        end = to_polar(ended)
        share = to_polar(narrow).log_norm
        return replace(
            run,
            log_unit=run.log_unit - (self.flow.degree - 2) * polar.log_norm,
            polar=Polar(end.direction, end.log_norm + run.polar.log_norm + polar.log_norm),
            moving_share=math.exp(share),
        )

    @property
    def _moment_name(self) -> str:
        assert self._terms
        return str(self._terms[0].entry.base)

    @cached_property
    def brackets(self) -> Brackets | None:
        """The bounds as expressions; None if $H$ is not homogeneous in every layer that moves."""
        flow = self.flow
        still = [base for base in flow.network.bases if str(base) not in self.moving]
        # A misfit has other degrees in the layers; tensors of order 1 in H would count as layers.
        if flow.blow_up is None or flow.misfit != 0 or any(flow.potential.has(b) for b in still):
            return None
        return Brackets(flow.blow_up)

    @cached_property
    def _layers(self) -> tuple[tuple[str, ...], ...]:
        """The names of the tensors that move, layer by layer of those that occur in $H$."""
        layers = [names for names, degree in self.flow.layer_degrees.items() if degree > 0]
        return tuple(tuple(n for n in names.split(", ") if n in self.moving) for names in layers)

    @cached_property
    def _terms(self) -> tuple[MomentTerm, ...] | None:
        """The potential by moments; None if the bound of the ceiling does not apply to it."""
        form = self.flow.moment_form
        if form is None:
            return None
        terms = [moment_term(term, form.moments) for term in Add.make_args(form.expression)]
        found = tuple(term for term in terms if term is not None)
        return found if len(found) == len(terms) else None

    @cached_property
    def is_chain(self) -> bool:
        """Whether $H$ is a trace of a product of matrices, one a layer, with one data moment."""
        terms = self._terms or ()
        plain = all(len(names) == 1 for names in self._layers)
        return len(terms) == 1 and plain and is_chain(terms[0])

    def ceiling(self, data: Mapping[str, Any]) -> Ceiling | None:
        r"""$\hat h_{\max}$ for these data; None where it is not bounded by data moments."""
        if self._terms is None:
            return None
        known = at_saddle(self.flow, data)
        sizes = {name: float(length) for name, length in lengths(self.flow, known).items()}
        scalars = {name: float(value) for name, value in known.items() if np.ndim(value) == 0}
        total, seen = 0.0, {}
        for term in self._terms:
            values = np.asarray(moment_value(self.flow, term.moment, known))
            matrix = values.reshape(len(values), -1)
            left, singular, right = np.linalg.svd(matrix, full_matrices=False)
            total += abs(term.coefficient_at({**sizes, **scalars})) * float(singular[0])
            if self.is_chain and np.all(singular[1:] <= _RANK_ONE * singular[0]):
                seen = term.seen((left[:, 0], right[0]))
        return Ceiling(total, seen) if total > 0 else None

    def bracket(self, ceiling: Ceiling | None) -> Bracket:
        """Bounds on the time left: the smallest upper and the largest lower one that hold."""
        assert self.brackets is not None
        seen = {} if ceiling is None else ceiling.seen
        strength = 1.0 if ceiling is None else ceiling.value
        lowers, uppers = self._bounds
        # The last upper bound, from the energy, is for a moment of rank one.
        uppers = uppers if seen else uppers[:2]

        def bounds(h: float, xi: Tree) -> tuple[float, float]:
            at = (strength, h, *(self._norm(names, xi, seen) for names in self._layers))
            low = 0.0 if ceiling is None else max(bound(*at) for bound in lowers)
            high = min(bound(*at) for bound in uppers)
            return min(low, high), high

        return bounds

    @cached_property
    def _bounds(self) -> tuple[list[Callable[..., float]], list[Callable[..., float]]]:
        """Lower and upper bounds as functions of the ceiling, H and the layer norms."""
        brackets = self.brackets
        assert brackets is not None
        symbols = (brackets.flow.strength, VALUE, *brackets.flow.gains)
        lowers = [brackets.norm_lower, brackets.layers_lower]
        uppers = [brackets.tangent_upper, brackets.layers_upper]
        if self.is_chain:
            uppers.append(brackets.energy_upper)
        return [numeric(e, symbols) for e in lowers], [numeric(e, symbols) for e in uppers]

    def _rate(self, strength: float) -> float:
        """The largest $kh$ on the sphere."""
        assert self.brackets is not None
        largest = self.brackets.largest_normalized_value
        return float(self.flow.degree * largest.subs(self.brackets.flow.strength, strength))

    @staticmethod
    def _norm(
        names: tuple[str, ...], xi: Tree, seen: Mapping[str, tuple[int, np.ndarray]]
    ) -> float:
        """The norm of a layer, or of the part of it that is in $H$."""
        total = 0.0
        for name in names:
            value = np.asarray(xi[name])
            if name in seen:
                axis, unit = seen[name]
                value = np.tensordot(value, unit, axes=(axis, 0))
            total += float(np.sum(value**2))
        return math.sqrt(total)


def blow_up(
    flow: EffectiveFlow, params: Mapping[str, Any], *, data: Mapping[str, Any], **options: Any
) -> BlowUp:
    r"""Integrate a derived leading flow to its blow-up: $T^*$ with an enclosure.

    The bounds on the time left are (i), (ii) and (iii) of `flowtheory.symbolic.brackets`, and (iv)
    for multiplicity 1 and a data moment of rank one, as with a single output.

    Args:
        flow: From `effective_flow`; what is derived and compiled is kept for the same object.
        params: $\theta(0)$, all parameters by name, of any size.
        data: Arrays by name, such as {"x": ..., "y": ...}.
        options: `gain`, `horizon`, `rtol`, `max_steps`, `check`, `rate` and `bracket` of
            `flowtheory.flow.blow_up`.

    Returns:
        The result, in the clock of the leading flow: $\varepsilon^{k-2}t$ for the start
        $\theta(0)/\varepsilon$, and $t$ for $\theta(0)$ itself.

    Raises:
        ParameterError: The leading flow has degree 2 or less, a kink, or no part driven by data.
        DataError: An array is missing, or shapes clash.

    Example:
        >>> import numpy as np
        >>> import flowtheory as ft
        >>> from flowtheory.lower import blow_up
        >>> eff = ft.effective_flow(ft.fully_connected(3, "tanh"), "half_square")
        >>> start = {"W1": np.eye(2), "W2": np.eye(2), "v": np.ones(2)}
        >>> run = blow_up(eff, start, data={"x": np.eye(2), "y": np.array([1.0, 2.0])})
        >>> print(run.outcome.name)
        BLEW_UP
    """
    return _solver(_Identity(flow))(params, data, **options)


class _Identity:
    """A key by identity: a derived flow holds dictionaries and has no hash."""

    def __init__(self, flow: EffectiveFlow) -> None:
        self.flow = flow

    def __hash__(self) -> int:
        return id(self.flow)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.flow is other.flow


@lru_cache(maxsize=32)
def _solver(key: _Identity) -> LeadingBlowUp:
    return LeadingBlowUp(key.flow)
