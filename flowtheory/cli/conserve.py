"""`flowtheory conserve`: the conserved quantities of a network, found and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowtheory.cli.console import clear_errors, named_numbers, wrapped
from flowtheory.cli.derive import Format

if TYPE_CHECKING:
    from flowtheory.symbolic.conserve.family import Family
    from flowtheory.symbolic.conserve.summary import Summary

_FACTORIZATIONS = {
    "linear": "linear:2,3,2 (widths from the input to the output)",
    "relu": "relu:2,3,2 (paths through a ReLU network of these widths)",
    "attention": "attention:3,2,1 (dimension, size of a head, number of heads)",
    "convolution": "convolution:2,3 (hidden channels, filter length; two linear layers)",
}


def conserve(
    network: Annotated[
        str,
        typer.Argument(
            help="An architecture (fully-connected, deep-linear, ...), or one with given widths: "
            "linear:2,3,2, relu:2,3,2, attention:3,2,1, convolution:2,3."
        ),
    ],
    layers: Annotated[int | None, typer.Option(help="Weight layers. Default: 2.")] = None,
    activation: Annotated[
        str | None, typer.Option(help='A name or an expression, such as "z*tanh(z)".')
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Sizes to count at, such as h=3,D=2. Default: 2 each.")
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            help="all-data (all data and losses), leading (the leading flow, all targets) or "
            "one-flow (the leading flow on random data). Default: the first two."
        ),
    ] = None,
    degree: Annotated[int, typer.Option(help="Highest degree of the laws searched.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of random points and data.")] = 0,
    format: Annotated[
        Format, typer.Option(help="Unicode text, a LaTeX document that compiles, or JSON.")
    ] = Format.TEXT,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Show the conserved quantities of a network, and count them.

    Closed forms hold for every size; the number of independent laws is bounded from below by laws
    that were found and from above by the rank of a Lie algebra. The laws do not depend on the loss.

    Try: flowtheory conserve fully-connected --activation tanh --sizes h=3,D=2
    """
    with clear_errors(debug):
        if ":" in network:
            _refuse_options(layers=layers, activation=activation, sizes=sizes, question=question)
            summary = _of_factorization(network, degree, seed)
        else:
            summary = _of_network(network, layers, activation, sizes, question, degree, seed)
        typer.echo(_RENDER[format](summary).rstrip("\n"))


def _of_network(
    name: str,
    layers: int | None,
    activation: str | None,
    sizes: str | None,
    question: str | None,
    degree: int,
    seed: int,
) -> Summary:
    from flowtheory.symbolic import ARCHITECTURES, find_activation, find_network
    from flowtheory.symbolic.activation import ANY_ACTIVATION
    from flowtheory.symbolic.conserve.summary import drift_lines, summarize

    depth = 2 if layers is None else layers
    if name in _FACTORIZATIONS:
        raise _needs_numbers(name)
    network = find_network(name, depth, activation)
    drifts = ()
    if ARCHITECTURES[name].takes_activation:
        general = find_network(name, depth, ANY_ACTIVATION)
        drifts = drift_lines(general, find_activation(activation or "tanh"))
    numbers = named_numbers(sizes, "--sizes", "h=3,D=2")
    asked = [question] if question else []
    return summarize(network, numbers, asked, degree=degree, seed=seed, drifts=drifts)


def _of_factorization(spec: str, degree: int, seed: int) -> Summary:
    from flowtheory.symbolic.conserve.count import count_laws
    from flowtheory.symbolic.conserve.summary import PATTERNS, Summary

    family = _family(spec)
    count = count_laws(family, degree, seed=seed)
    notes = (PATTERNS,) if spec.startswith("relu") else ()
    return Summary(f"Conserved quantities of {spec}", counts=(({}, count),), notes=notes)


def _family(spec: str) -> Family:
    from flowtheory.errors import ParameterError, unknown_name
    from flowtheory.symbolic.conserve import architectures

    name, _, text = spec.partition(":")
    builders: Mapping[str, Callable[[list[int]], Any]] = {
        "linear": architectures.linear,
        "relu": architectures.relu_paths,
        "attention": lambda numbers: architectures.attention(*numbers),
        "convolution": lambda numbers: architectures.linear_convolution(*numbers),
    }
    if name not in builders:
        raise unknown_name("factorization", name, builders)
    try:
        numbers = [int(part) for part in text.split(",")]
        return builders[name](numbers)
    except ParameterError:
        raise
    except (TypeError, ValueError) as error:
        raise _needs_numbers(name, text) from error


def _needs_numbers(name: str, text: str = "") -> Exception:
    from flowtheory.errors import ParameterError

    return ParameterError(
        f"{name}:{text} is no list of widths" if text else f"{name} needs widths",
        expected="whole numbers separated by commas",
        fix=_FACTORIZATIONS[name],
    )


def _refuse_options(**options: object) -> None:
    from flowtheory.errors import ParameterError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ParameterError(
            f"--{given[0]} was given for a network with given widths",
            expected="no such option: widths and activation are part of the name",
            fix="name an architecture, such as fully-connected or deep-linear",
        )


def _text(summary: Summary) -> str:
    notes = "".join(f"\n{note}\n" for note in summary.notes)
    return wrapped(summary.derivation().text() + notes)


def _latex(summary: Summary) -> str:
    notes = "".join(f"% {note}\n" for note in summary.notes)
    return notes + summary.derivation().latex()


def _json(summary: Summary) -> str:
    document = json.loads(summary.derivation(shown=None).json())
    document["counts"] = [
        {
            "question": count.question,
            "sizes": dict(sizes),
            "parameters": count.parameters,
            "lower": count.lower,
            "upper": count.upper,
            "proved": count.proved,
            "reason": count.reason,
            "found": len(count.laws),
        }
        for sizes, count in summary.counts
    ]
    document["laws"] = [
        {"scope": law.scope.value, "validity": law.validity.value} for law in summary.laws
    ]
    document["notes"] = list(summary.notes)
    return json.dumps(document, indent=2, ensure_ascii=False)


_RENDER: Mapping[Format, Callable[[Any], str]] = {
    Format.TEXT: _text,
    Format.LATEX: _latex,
    Format.JSON: _json,
}
