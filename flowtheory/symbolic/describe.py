r"""A leading flow and its consequences, written out as a derivation to be read.

Every statement is computed by the engine; here they are only put in order and given words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sympy import Add, Eq, Function, Integer, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation, AnyActivation, Ramp
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.conserve.find import ClosedLaw
from flowtheory.symbolic.derivation import Derivation, Line
from flowtheory.symbolic.expand import BIG_O, SCALE
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import size, sum_over, tensor
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.linearize import Spectrum
from flowtheory.symbolic.normal import fold
from flowtheory.symbolic.printing import Rate, unicode_line

TIME, SLOW = Symbol("t", positive=True), Symbol("tau", positive=True)
_MEANING = {
    "h": "width",
    "D": "input dimension",
    "n": "number of samples",
    "C": "number of outputs",
    "S": "number of patches",
    "R": "rank",
}


def describe(
    flow: LeadingFlow,
    invariants: Sequence[ClosedLaw],
    spectrum: Spectrum | None,
    laws: Sequence[Formula],
) -> Derivation:
    """Definitions, expansion, leading flow, time scale, and the consequences that are given."""
    lines = (
        *_definitions(flow),
        *_fit(flow),
        *_expansion(flow),
        *_leading(flow),
        *_invariants(invariants),
        *_spectrum(flow, spectrum),
        *_laws(laws),
    )
    title = f"Leading flow of the {flow.network.name}, {flow.loss.name} loss"
    return Derivation(title, lines)


def _definitions(flow: LeadingFlow) -> Iterator[Line]:
    network = flow.network
    f = network.per_output("f")
    sigma = network.activation
    if sigma is None or sigma.expression == ARGUMENT:
        yield _line("Network", f, network.output, _sizes(flow))
    elif sigma.expression.has(Ramp):
        note = f" σ is {sigma.name}, positively homogeneous of degree {sigma.local.multiplicity}."
        yield _line("Network", f, network.output, _sizes(flow) + note)
    else:
        yield _line("Network", f, network.sketch, _sizes(flow))
        yield from _activation(sigma)
    (sample, *classes), y = network.axes, network.labels
    summed = flow.share * sum_over(flow.loss.of_sample(y, f, tuple(classes)), sample)
    averaged = "averaged" if flow.reduction == "mean" else "summed"
    yield _line(
        "Loss",
        Symbol("L"),
        summed,
        f"The {flow.loss.name.replace('_', ' ')} loss, {averaged} over samples. "
        "Time is that of dθ/dt = -∇L.",
    )


def _activation(activation: Activation) -> Iterator[Line]:
    """What σ is, and how it starts at 0."""
    local, z = activation.local, ARGUMENT
    sigma = AnyActivation(z, Integer(0))
    yield _line("Activation", sigma, activation.expression, "")
    series = local.constant + local.leading * z**local.multiplicity
    if local.next_order is not None:
        rest = local.next_coefficient * z**local.next_order
        near = Eq(sigma, Add(series, rest, BIG_O(z ** (local.next_order + 1))), evaluate=False)
        yield Line("Activation near 0", near, f"Of multiplicity {local.multiplicity}.")


def _sizes(flow: LeadingFlow) -> str:
    """The shapes of all tensors, and what their sizes mean."""
    network = flow.network
    entries = [*network.parameters, *network.constants, *network.all_inputs, network.labels]
    shapes = ", ".join(
        f"{unicode_line(e.base.label)} "
        + (f"[{', '.join(map(unicode_line, e.shape))}]" if e.shape else "(a number)")
        for e in entries
    )
    sizes = dict.fromkeys(str(s) for e in entries for s in e.shape)
    words = "; ".join(f"{unicode_line(size(s))}: {_meaning(s)}" for s in sizes if _meaning(s))
    return f"{shapes}. Sizes: {words}."


def _meaning(extent: str) -> str:
    """What a size is, in words; nothing for a user's own."""
    if extent[:1] == "h" and extent[1:].isdigit():
        return f"width of hidden layer {extent[1:]}"
    kind, _, branch = extent.partition("_")
    meaning = _MEANING.get(kind, "")
    return f"{meaning} of branch {branch}" if meaning and branch else meaning


def _fit(flow: LeadingFlow) -> Iterator[Line]:
    """The first stage, if there is one."""
    fit = flow.fit
    if fit is None:
        return
    g = tensor("g", *(extent for _, extent in fit.classes))[tuple(o for o, _ in fit.classes)]
    note = "The same for all samples: a constant, which the network fits first, in a time O(1)."
    yield _line("First-order part", g, fit.direction, note)
    yield Line("Fitted constant", fit.condition, "This determines s, the output at the saddle.")
    for entry, shift in fit.shift.items():
        name = f"Shift of {unicode_line(entry.base.label)}"
        note = "How far the fit moves it, from zero."
        if flow.leading_part.has(entry.base):
            note += (
                " For s ≠ 0 this is not small with ε: the leading flow then needs a wide network."
            )
        yield _line(name, Function("Delta")(entry), shift, note)


def _expansion(flow: LeadingFlow) -> Iterator[Line]:
    network, f = flow.network, flow.network.per_output("f")
    at = "at the fitted constant" if flow.fit else "at zero parameters"
    note = f"Minus the slope of the loss {at}."
    yield _line("Data weights", flow.weight, flow.weight_value, note)
    series = flow.expansion.up_to(flow.power + flow.expansion.gap)
    equal = set(flow.scales.values()) == {1}
    powers = ", ".join(f"{_power(power)} {name}" for name, power in flow.scales.items())
    scaled = "all parameters times ε" if equal else powers
    note = f"The loss at {scaled}; the relative error of the leading flow is O({_power(flow.gap)})"
    if flow.gap < flow.expansion.gap:
        slow = "the constant follows" if flow.fit else "the larger tensors move"
        note += f", the order at which {slow}"
    statement = fold(series, {network.output: f})
    yield _line("Loss at small scale", Function("L")(SCALE), statement, f"{note}.")


def _power(exponent: int) -> str:
    """The scale to a power, in words."""
    return unicode_line(SCALE**exponent)


def _leading(flow: LeadingFlow) -> Iterator[Line]:
    H, degree = Symbol("H"), flow.degree
    yield _line(
        "Leading part",
        H,
        flow.leading_part,
        f"Homogeneous of degree {degree}{_layer_note(flow)}."
        + ("" if flow.grows else " It is negative: at this order nothing leaves the origin."),
    )
    form = flow.moment_form
    if form is not None:
        for moment in form.moments:
            yield _line("Data moment", moment.entry, moment.definition, "")
        if form.moments:
            yield _line("Leading part in moments", H, form.expression, _data_note(flow))
    if flow.misfit != 0:
        note = "Subtracted from H: what an output whose constant is not fitted costs."
        yield _line("Misfit", Symbol("Q"), flow.misfit, note)
    exponent = flow.time_exponent
    if exponent != 0:
        note = "The time of the leading flow." + (
            "" if exponent > 0 else " There is no plateau: the origin is no saddle."
        )
        yield _line("Time", SLOW, SCALE**exponent * TIME, note)
    for entry, rate in flow.field.components:
        name = f"Flow of {unicode_line(entry.base.label)}"
        note = "In the time τ, for parameters in units of their scale." if exponent != 0 else ""
        yield _line(name, Rate(entry), flow.fold(rate).expression, note)


def _layer_note(flow: LeadingFlow) -> str:
    try:
        degrees = flow.layer_degrees
    except ParameterError:
        return ""
    names = {
        ", ".join(unicode_line(entry.base.label) for entry in layer): degree
        for layer, degree in zip(flow.network.layers, degrees.values(), strict=True)
    }
    return ": " + "; ".join(f"{d} in {name}" for name, d in names.items())


def _data_note(flow: LeadingFlow) -> str:
    gone = ", ".join(unicode_line(m.entry) for m in flow.vanished)
    kept = "The data enter through these numbers only."
    return kept + (f" Zero for the given data: {gone}." if gone else "")


def _invariants(invariants: Sequence[ClosedLaw]) -> Iterator[Line]:
    for number, law in enumerate(invariants, 1):
        note = f"For {law.scope.value}, along {law.validity.value}."
        yield Line(f"Invariant {number}", law.statement, note)


def _spectrum(flow: LeadingFlow, spectrum: Spectrum | None) -> Iterator[Line]:
    """The growth rates at the saddle with their numbers."""
    if spectrum is None:
        return
    parts = spectrum.parts
    if len(parts) == 1:
        note = f"The Hessian is zero at the saddle; escape is by the part of degree {flow.degree}."
        yield _line("Eigenvalues", Symbol("mu"), parts[0][0], note)
        return
    for number, (rate, count) in enumerate(parts, 1):
        note = f"Growth rate at the saddle, {unicode_line(count)} of them"
        note += ", at the origin for s = 0." if flow.misfit != 0 else "."
        if any(str(entry.base) == "sigma" for entry in rate.atoms(Indexed)):
            note += " σ_r: the singular values of the data moment, as many of each."
        yield _line(f"Eigenvalue {number}", Symbol(f"mu_{number}"), rate, note)


def _laws(laws: Sequence[Formula]) -> Iterator[Line]:
    for formula in laws:
        remainder = 0 if formula.is_exact else BIG_O(formula.remainder)
        used = formula.expression.free_symbols | formula.remainder.free_symbols
        meanings = ", ".join(
            f"{unicode_line(s)}: {text}" for s, text in formula.symbols.items() if s in used
        )
        name = formula.name[0].upper() + formula.name[1:]
        yield _line(name, Symbol("T"), formula.expression + remainder, f"{meanings}.")


def _line(name: str, left: Expr, right: Expr, note: str) -> Line:
    return Line(name, Eq(left, right, evaluate=False), note)
