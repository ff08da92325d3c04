"""`flowtheory derive`: what follows for a network, or how a law follows, step by step."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowtheory.cli.console import clear_errors, named_numbers, wrapped

if TYPE_CHECKING:
    from flowtheory.symbolic.derivation import Derivation


class Format(StrEnum):
    """How a derivation is printed."""

    TEXT = "text"
    LATEX = "latex"
    JSON = "json"


def derive(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK|FILE.py|LAW",
            help="A network (fully-connected, deep-linear, ...; a wrong name lists them all), a "
            "Python file that defines `network`, or a law (`flowtheory laws`).",
        ),
    ],
    layers: Annotated[int | None, typer.Option(help="Weight layers. Default: 2.")] = None,
    activation: Annotated[
        str | None,
        typer.Option(help='A name or an expression, such as "z*tanh(z)". Default: tanh.'),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help='A name or an expression, such as "(y - f)**4". Default: half_square.'),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Powers of epsilon by tensor, such as W=1,v=2. Default: 1 each."),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="Unicode text, a LaTeX document that compiles, or JSON.")
    ] = Format.TEXT,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Derive the dynamics at small initialization, or show how a law follows.

    Widths, input dimension and number of samples stay symbols. Nothing else is printed, so the
    output can be piped.

    Try: flowtheory derive fully-connected --layers 3 --activation "z*tanh(z)" --loss logistic
    """
    with clear_errors(debug):
        from flowtheory.laws.registry import LAWS

        if name in LAWS:
            _refuse(name, layers=layers, activation=activation, loss=loss, scale=scale)
            derivation = _of_law(name)
        else:
            derivation = _of_network(name, layers, activation, loss, scale)
        if format is Format.TEXT:
            typer.echo(wrapped(derivation.text()).rstrip("\n"))
        else:
            text = derivation.latex() if format is Format.LATEX else derivation.json()
            typer.echo(text.rstrip("\n"))


def _of_law(name: str) -> Derivation:
    from flowtheory.errors import UnknownNameError
    from flowtheory.laws.registry import get_law

    record = get_law(name)
    if record.derive is None:
        raise UnknownNameError(
            f"the law {name!r} has no derivation",
            expected="a law whose record names one",
            fix="flowtheory laws",
        )
    return record.derive()


def _of_network(
    name: str, layers: int | None, activation: str | None, loss: str | None, scale: str | None
) -> Derivation:
    from flowtheory.errors import unknown_name
    from flowtheory.laws.registry import LAWS
    from flowtheory.symbolic import ARCHITECTURES, effective_flow, find_loss, find_network
    from flowtheory.symbolic.networks.custom import load_network

    chosen = None if loss is None else find_loss(loss)
    if name.endswith(".py"):
        _refuse(name, layers=layers, activation=activation)
        definition = load_network(Path(name))
        network, chosen = definition.network, chosen or definition.loss
    elif name not in ARCHITECTURES:
        raise unknown_name("network or law", name, [*ARCHITECTURES, *LAWS])
    else:
        network = find_network(name, 2 if layers is None else layers, activation)
    return effective_flow(
        network, chosen or "half_square", scales=named_numbers(scale, "--scale", "W=1,v=2")
    ).derivation


def _refuse(name: str, **options: object) -> None:
    from flowtheory.errors import ParameterError

    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ParameterError(
            f"--{given[0]} was given for {name}",
            expected="no such option: the file or the law fixes it",
            fix=f"leave --{given[0]} out",
        )
