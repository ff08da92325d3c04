r"""What is known about the conserved quantities of one network, as a derivation that prints itself.

First the closed forms, for every size; then how fast the balance is lost where it is not exact;
then the number of laws at given sizes, for each question apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Eq, Integer, Symbol, Tuple

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation, AnyActivation
from flowtheory.symbolic.conserve.count import LawCount
from flowtheory.symbolic.conserve.drift import (
    euler_defect,
    hidden_signals,
    imbalance_identity,
)
from flowtheory.symbolic.conserve.family import ALL_DATA, LEADING_ORDER, ONE_FLOW
from flowtheory.symbolic.conserve.find import ClosedLaw, Scope, closed_laws
from flowtheory.symbolic.conserve.polynomial import NotPolynomialError
from flowtheory.symbolic.conserve.question import Question, conservation, size_names
from flowtheory.symbolic.derivation import Derivation, Line
from flowtheory.symbolic.expand import BIG_O
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.printing import Rate
from flowtheory.symbolic.ramp import Ramp

_SHORT = {ALL_DATA: "", LEADING_ORDER: " (leading flow)", ONE_FLOW: " (one flow)"}

PATTERNS = (
    "The count for all data takes every activation pattern as possible. From two hidden layers on, "
    "patterns that no input realizes may leave more laws."
)
"""What a count of the laws of paths through a network with kinks leaves open."""

SHOWN = 12
"""So many of the laws found at given sizes are printed."""


@dataclass(frozen=True)
class Summary:
    """Laws in closed form, drifts and counts.

    Attributes:
        title: Of what.
        laws: In closed form.
        drifts: How fast the balance of a layer is lost that is exact at leading order only.
        counts: For the questions asked; each with the sizes.
        notes: What was not computed, and why.
    """

    title: str
    laws: tuple[ClosedLaw, ...] = ()
    drifts: tuple[Line, ...] = ()
    counts: tuple[tuple[Mapping[str, int], LawCount], ...] = ()
    notes: tuple[str, ...] = ()

    def derivation(self, shown: int | None = SHOWN) -> Derivation:
        """All statements in order; of the laws found at given sizes the first `shown`."""
        lines = [*_closed(self.laws), *self.drifts]
        printed: list[tuple[Expr, ...]] = []
        for sizes, count in self.counts:
            lines += _counted(sizes, count, 0 if count.laws in printed and count.laws else shown)
            printed.append(count.laws)
        return Derivation(self.title, tuple(lines))


def summarize(
    network: Network,
    sizes: Mapping[str, int] | None = None,
    questions: Sequence[str] = (),
    *,
    degree: int = 2,
    seed: int = 0,
    drifts: tuple[Line, ...] = (),
) -> Summary:
    """Find the closed forms, and count the laws at given sizes.

    Args:
        network: The network.
        sizes: A number for each symbolic size; those left out are 2.
        questions: As `conservation` takes them; none for the first two, as far as they have an
            answer. For "one-flow" the data are random integers.
        degree: The highest degree of the polynomial laws that are searched.
        seed: Of the random points and of these data.
        drifts: From `drift_lines`.
    """
    notes: list[str] = []
    source: Network | LeadingFlow = network
    try:
        source = leading_flow(network, "half_square")
    except ParameterError as error:
        notes.append(f"No leading flow: {error.wrong}.")
    laws = closed_laws(source)
    if not laws:
        notes.append("No quadratic law of one or several layers was found.")
    asked = questions or (
        [Question.ALL_DATA] if source is network else [Question.ALL_DATA, Question.LEADING]
    )
    counts = []
    for question in asked:
        numbers = dict.fromkeys(size_names(network, question), 2) | dict(sizes or {})
        data = _random_data(source, numbers, seed) if question == Question.ONE_FLOW else None
        try:
            found = conservation(source, numbers, question, degree=degree, data=data, seed=seed)
        except NotPolynomialError:
            if questions:
                raise
            every = question == Question.ALL_DATA
            what = "all data and all losses: the output" if every else "the leading flow: it"
            notes.append(f"No count for {what} is not a polynomial.")
            continue
        counts.append((numbers, found))
        notes += _caveats(network, question, data)
    title = f"Conserved quantities of the {network.name}"
    return Summary(title, laws, drifts, tuple(counts), tuple(notes))


def _caveats(network: Network, question: str, data: Mapping[str, Any] | None) -> list[str]:
    if data is not None:
        given = "; ".join(f"{name} = {values}" for name, values in data.items())
        return [f"The one flow has random data: {given}."]
    if question == Question.ALL_DATA and network.output.has(Ramp):
        return [PATTERNS]
    return []


def drift_lines(network: Network, activation: Activation) -> tuple[Line, ...]:
    r"""The imbalance identity of every hidden layer of `network`, and the order of its defect.

    Args:
        network: A network with `ANY_ACTIVATION`.
        activation: The one that it has.

    Returns:
        Nothing for a homogeneous activation, or for a network without the form of the identity.
    """
    degree = activation.local.multiplicity
    defect = euler_defect(activation, degree)
    if defect.order is None:
        return ()
    lines = []
    for layer in range(1, len(hidden_signals(network)) + 1):
        try:
            identity = imbalance_identity(network, layer, degree)
        except ParameterError:
            return ()
        note = (
            f"Exact, for every loss. z{layer}: inputs of the hidden units of layer {layer}; "
            f"g{layer}: derivatives of the summed loss by their outputs."
        )
        lines.append(Line(f"Drift of layers {layer} and {layer + 1}", identity.statement, note))
    if not lines:
        return ()
    bracket = degree * AnyActivation(ARGUMENT, Integer(0))
    bracket -= ARGUMENT * AnyActivation(ARGUMENT, Integer(1))
    series = defect.coefficient * ARGUMENT**defect.order + BIG_O(ARGUMENT ** (defect.order + 1))
    name = f"The bracket for {activation.name} near z = 0"
    return (*lines, Line(name, Eq(bracket, series, evaluate=False)))


def _random_data(
    source: Network | LeadingFlow, sizes: Mapping[str, int], seed: int
) -> dict[str, Any]:
    """Small integers for every tensor of data in the potential."""
    if not isinstance(source, LeadingFlow):
        return {}
    rng = np.random.default_rng(seed)
    given = {e.base for e in source.potential.atoms(Indexed)} - {*source.network.bases}
    shapes = {str(base): [sizes.get(str(s), 1) for s in base.shape] for base in given}
    return {name: rng.integers(1, 10, shapes[name]).tolist() for name in sorted(shapes)}


def _closed(laws: Sequence[ClosedLaw]) -> Iterator[Line]:
    for number, law in enumerate(laws, 1):
        note = f"Holds along {law.validity.value}, for every size and all data."
        yield Line(f"Law {number}, for {law.scope.value}", law.statement, note)
        if law.scope is not Scope.ENTRIES:
            for quantity in law.implies:
                statement = Eq(Rate(quantity), 0, evaluate=False)
                yield Line(f"Contained in law {number}", statement)


def _counted(sizes: Mapping[str, int], count: LawCount, shown: int | None) -> Iterator[Line]:
    if count.proved:
        statement = Eq(Symbol("N"), count.upper, evaluate=False)
        verdict = "Proved, the bounds from below and above meet"
    else:
        bounds = Tuple(Symbol("N_min"), Symbol("N_max"))
        statement = Eq(bounds, Tuple(count.lower, count.upper), evaluate=False)
        verdict = "Not proved, the bounds from below and above differ"
    given = ", ".join(f"{name} = {value}" for name, value in sorted(sizes.items()))
    laws = count.laws if shown is None else count.laws[:shown]
    rest = f" Of {len(count.laws)} laws found, {len(laws)} follow." if laws != count.laws else ""
    if shown == 0:
        rest = " The laws found are those above."
    note = f"{count.parameters} parameters. {verdict}: {count.reason}.{rest}"
    if given:
        note = f"For {given}: {note}"
    yield Line(f"Number of laws, for {count.question}", statement, note)
    for number, law in enumerate(laws, 1):
        statement = Eq(Rate(as_entries(law)), 0, evaluate=False)
        yield Line(f"Found law {number}{_SHORT[count.question]}", statement)


def as_entries(law: Expr) -> Expr:
    """A law in names like `W_1_2`, those of `Family.parameters`, with entries of tensors."""
    return law.xreplace({symbol: _entry(symbol) for symbol in law.free_symbols})


def _entry(symbol: Symbol) -> Expr:
    # The name of a tensor may have an underscore of its own, as W_A has.
    parts = symbol.name.split("_")
    first = next((k for k in range(len(parts)) if all(p.isdigit() for p in parts[k:])), len(parts))
    if first in (0, len(parts)):
        return symbol
    base: Any = IndexedBase(Symbol("_".join(parts[:first]), real=True))
    return base[tuple(map(int, parts[first:]))]
