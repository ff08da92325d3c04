r"""Closed forms of conserved quantities, found for any network at symbolic sizes.

The quantities tried are quadratic. A tensor $T$ one of whose axes has the size $s$ of a layer has
the Gram matrix $G_T[a, b] = \sum T_{\dots a\dots} T_{\dots b\dots}$ over the units of that layer.
Along $\dot\theta = \nabla H$

$$\frac{d}{dt} G_T[a, b] = (D_{ab} + D_{ba}) H, \qquad
  D_{ab} H = \sum T_{\dots a\dots} \frac{\partial H}{\partial T_{\dots b\dots}},$$

and $D_{ab}$ is a derivation, which puts one entry in place of another. The laws are the rational
combinations of these rates that vanish term by term in normal form: for all pairs of units
($a \ne b$), for every unit ($a = b$), or summed over the units. Terms that the normal form does not
recognize as equal lose a law; they never make one up.

For the full flow, $H$ is the output $f_i$ at one sample: $\dot\theta = -\sum_i \ell'_i \nabla f_i$
with any $\ell'_i$. For the leading flow it is the potential of `effective_flow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sympy import Add, Eq, KroneckerDelta, Matrix, Pow, S, Sum, Symbol, expand_mul, igcd, ilcm

from flowtheory.symbolic.activation import euler
from flowtheory.symbolic.conserve.closed_form import Validity, gram, is_conserved, square_norm
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.differentiate import derive
from flowtheory.symbolic.expression import Expr, Head, Indexed
from flowtheory.symbolic.index import fresh, separate, tidy
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.normal import normal
from flowtheory.symbolic.printing import Rate, tex, unicode_line

Vector = tuple[Expr, ...]
Slot = tuple[Indexed, int]


class Scope(Enum):
    """What a law holds for."""

    ENTRIES = "every entry"
    PAIRS = "every pair of units"
    UNITS = "every unit"
    TENSORS = "whole tensors"


@dataclass(frozen=True)
class ClosedLaw:
    """A conserved quantity in index notation, for every size.

    Attributes:
        quantity: What is constant; its free indices are those of the units.
        scope: Whether it is a law for every pair of units, for every unit, or for whole tensors.
        validity: For which flows it is proved.
        implies: The weaker quantities that are constant as well: with equal units, and summed.
    """

    quantity: Expr
    scope: Scope
    validity: Validity
    implies: tuple[Expr, ...] = ()

    @property
    def statement(self) -> Expr:
        r"""$\frac{d}{dt}$ `quantity` $= 0$."""
        return Eq(Rate(self.quantity), 0, evaluate=False)

    def __str__(self) -> str:
        return f"{unicode_line(self.statement)} for {self.scope.value}"

    def _repr_latex_(self) -> str:
        return f"${tex(self.statement)}$"


def closed_laws(source: Network | LeadingFlow) -> tuple[ClosedLaw, ...]:
    r"""Find the quadratic conserved quantities of a network at symbolic sizes.

    A law that another one implies is not listed again, see `ClosedLaw.implies`: the matrix law of
    two linear layers contains one law for every unit, and their sum is that of the norms.

    >>> from flowtheory.symbolic import effective_flow, two_layer
    >>> (law,) = closed_laws(effective_flow(two_layer("tanh"), "logistic"))
    >>> print(law)
    d/dt (Σ_p W_jp W_kp - v_j v_k) = 0 for every pair of units
    >>> law.validity.value
    'the leading flow at small initialization'
    >>> print(*closed_laws(two_layer("relu")))
    d/dt (Σ_p W_jp² - v_j²) = 0 for every unit

    Args:
        source: A leading flow, for the laws of the full flow and those of the leading one; or a
            network, for those of the full flow alone.

    Returns:
        The laws of the full flow, then those of the leading flow only, each from the strongest
        scope to the weakest. No law of this form is missed unless the normal form is blind to it.
    """
    network = source.network if isinstance(source, LeadingFlow) else source
    finder = _Finder(network)
    found = finder.along(network.output, Validity.FULL_FLOW)
    if isinstance(source, LeadingFlow):
        still = [entry for entry in network.parameters if entry not in source.moving]
        laws = finder.along(source.potential, Validity.LEADING_FLOW, still)
        if source.is_projected:
            laws = [law for law in laws if is_conserved(law.quantity, source.field)]
        found += laws
    return tuple(found)


class _Kept(Head):
    """A power of a sum that `normal` is not to multiply out."""

    nargs = 2


class _Finder:
    """Finds the laws along one potential after another; each time only those that are new."""

    def __init__(self, network: Network) -> None:
        self.tensors = network.parameters
        layers: dict[Expr, list[Slot]] = {}
        for entry in network.parameters:
            for axis, extent in enumerate(entry.shape):
                layers.setdefault(extent, []).append((entry, axis))
        self.layers = {extent: slots for extent, slots in layers.items() if len(slots) > 1}
        self.pairs: dict[Expr, list[Vector]] = {extent: [] for extent in self.layers}
        self.units: dict[Expr, list[Vector]] = {extent: [] for extent in self.layers}
        self.sums: list[Vector] = []

    def along(
        self, potential: Expr, validity: Validity, still: Sequence[Indexed] = ()
    ) -> list[ClosedLaw]:
        """The laws along the gradient of `potential` that those found before do not imply.

        Tensors that stand `still` do not follow it.
        """
        frozen = [e for e in self.tensors if e in still or not potential.has(e.base)]
        self.sums += [_choose(self.tensors, [entry]) for entry in frozen]
        laws = [
            ClosedLaw(entry, Scope.ENTRIES, validity, (square_norm(entry),)) for entry in frozen
        ]
        rates = [
            S.Zero if entry in frozen else _rate(potential, entry, lambda e: e)
            for entry in self.tensors
        ]
        for extent, slots in self.layers.items():
            own = [rates[self.tensors.index(entry)] for entry, _ in slots]
            # A law of the units sums to one of the tensors, unless a tensor has the axis twice.
            if _independent(own) and len({entry for entry, _ in slots}) == len(slots):
                continue
            laws += self._of_layer(extent, potential, validity, frozen)
        sums = _new_vectors(rates, self.sums)
        self.sums += sums
        return laws + [ClosedLaw(self._norms(v), Scope.TENSORS, validity) for v in sums]

    def _of_layer(
        self, extent: Expr, potential: Expr, validity: Validity, frozen: Sequence[Indexed]
    ) -> list[ClosedLaw]:
        slots, pairs, units = self.layers[extent], self.pairs[extent], self.units[extent]
        still = [_choose(slots, [slot]) for slot in slots if slot[0] in frozen]
        pairs += still
        units += still
        a = fresh(extent, potential.free_symbols)
        b = fresh(extent, potential.free_symbols | {a})
        equal = [_gram_rate(potential, slot, a, a, frozen) for slot in slots]
        if _independent(equal):  # a law of all pairs would be one of the units
            return []
        different = [_gram_rate(potential, slot, a, b, frozen) for slot in slots]
        laws = []
        for vector in _new_vectors(different, pairs):
            pairs.append(vector)
            units.append(vector)
            weaker = (_gram_sum(vector, slots, a, a), self._summed(vector, slots))
            quantity = _gram_sum(vector, slots, a, b)
            laws.append(ClosedLaw(quantity, Scope.PAIRS, validity, weaker))
        for vector in _new_vectors(equal, units):
            units.append(vector)
            quantity, weaker = _gram_sum(vector, slots, a, a), (self._summed(vector, slots),)
            laws.append(ClosedLaw(quantity, Scope.UNITS, validity, weaker))
        return laws

    def _summed(self, vector: Vector, slots: Sequence[Slot]) -> Expr:
        """The law summed over the units of its layer, which is then known too."""
        total = [
            Add(*(c for c, (entry, _) in zip(vector, slots, strict=True) if entry == tensor))
            for tensor in self.tensors
        ]
        self.sums.append(tuple(total))
        return self._norms(tuple(total))

    def _norms(self, vector: Vector) -> Expr:
        return Add(*(c * square_norm(t) for c, t in zip(vector, self.tensors, strict=True)))


def _gram_sum(vector: Vector, slots: Sequence[Slot], a: Symbol, b: Symbol) -> Expr:
    return Add(*(c * gram(*slot, a, b) for c, slot in zip(vector, slots, strict=True)))


def _gram_rate(
    potential: Expr, slot: Slot, a: Symbol, b: Symbol, frozen: Sequence[Indexed]
) -> Expr:
    r"""$(D_{ab} + D_{ba})$ of the potential, for one axis of one tensor."""
    entry, axis = slot
    if entry in frozen:
        return S.Zero

    def put(new: Symbol, old: Symbol) -> Callable[[Indexed], Expr]:
        def rule(other: Indexed) -> Expr:
            indices = list(other.indices)
            delta = KroneckerDelta(indices[axis], old)
            indices[axis] = new
            return delta * other.base[tuple(indices)]

        return rule

    apart = separate(potential, {a, b})
    forward = _rate(apart, entry, put(a, b))
    return 2 * forward if a == b else forward + _rate(apart, entry, put(b, a))


def _rate(potential: Expr, entry: Indexed, rule: Callable[[Indexed], Expr]) -> Expr:
    """The derivation that moves one tensor by `rule`, in normal form.

    Powers of sums are kept closed: Euler's identity needs no more, and a power $z^m$ multiplied
    out would have $m!$ orders of its bound indices.
    """
    moved = derive(potential, lambda e: rule(e) if e.base == entry.base else S.Zero)
    # Multiplied out first, so that equal sums meet in one power.
    closed = expand_mul(tidy(contract(euler(tidy(contract(moved)))))).replace(
        lambda e: isinstance(e, Pow) and e.exp.is_Integer and e.exp > 1 and e.has(Sum),
        lambda e: _Kept(*e.args),
    )
    return normal(closed)


def _choose(items: Sequence[Any], chosen: Sequence[Any]) -> Vector:
    return tuple(S.One if item in chosen else S.Zero for item in items)


def _new_vectors(rates: Sequence[Expr], known: Sequence[Vector]) -> list[Vector]:
    """Integer combinations of `rates` that vanish, up to those that `known` spans.

    Neighbours are tried first, so that each law joins as few tensors as it can.
    """
    system = _coefficients(rates)
    size = len(rates)
    span = Matrix([list(v) for v in known]) if known else Matrix.zeros(0, size)
    found: list[Vector] = []
    missing = size - system.rank() - span.rank()
    windows = ((at, n) for n in range(1, size + 1) for at in range(size - n + 1))
    for at, n in windows:
        if len(found) == missing:
            break
        for solution in system.extract(range(system.rows), range(at, at + n)).nullspace():
            vector = [S.Zero] * at + _primitive(solution) + [S.Zero] * (size - at - n)
            wider = span.col_join(Matrix([vector]))
            if wider.rank() > span.rank():
                span = wider
                found.append(tuple(vector))
    return found


def _independent(rates: Sequence[Expr]) -> bool:
    """Whether no combination of the rates vanishes."""
    return _coefficients(rates).rank() == len(rates)


def _coefficients(rates: Sequence[Expr]) -> Matrix:
    """One row for each term of the rates, one column for each rate."""
    rows: dict[Expr, list[Expr]] = {}
    for column, rate in enumerate(rates):
        for term in Add.make_args(rate):
            number, rest = term.as_coeff_Mul()
            if number != 0:
                rows.setdefault(rest, [S.Zero] * len(rates))[column] += number
    return Matrix(len(rows), len(rates), [c for row in rows.values() for c in row])


def _primitive(solution: Iterable[Expr]) -> list[Expr]:
    """The multiple with coprime integers, the first of them positive."""
    vector = list(solution)
    scale = ilcm(1, *(c.q for c in vector))
    whole = [c * scale for c in vector]
    common = igcd(0, *whole)
    sign = next(1 if c > 0 else -1 for c in whole if c)
    return [c * sign / common for c in whole]
