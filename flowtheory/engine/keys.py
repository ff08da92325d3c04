r"""What a run's file may say: sections, keys, kinds and defaults; the reference is made of it.

A kind is a name, the words that describe it, and a test of a value as TOML gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flowtheory.engine.checkpoint import EVERY
from flowtheory.engine.gradient_flow import SETTINGS, WIDTH
from flowtheory.engine.observables import DEFAULT, OBSERVABLES


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        words: what it is called in an error and in the reference.
        test: whether a value is of this kind.
        example: one that is.
    """

    words: str
    test: Callable[[Any], bool]
    example: str


class Key(NamedTuple):
    """A key of a section.

    Attributes:
        kind: of its value.
        default: in words; empty if there is none.
        says: what it is for, in a line.
    """

    kind: Kind
    default: str
    says: str


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _table_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def _list_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _nested(value: Any) -> bool:
    return all(map(_nested, value)) if isinstance(value, list) else _number(value)


def _either(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(test(value) for test in tests)


TEXT = Kind("a text in quotes", _text, '"..."')
INTEGER = Kind("an integer", _integer, "2")
NUMBER = Kind("a number", _number, "0.5")
BOOLEAN = Kind("true or false", lambda value: isinstance(value, bool), "true")
OPTIONS = Kind("a table", lambda value: isinstance(value, dict), "{ biases = true }")
FAMILY = OPTIONS._replace(example="{ mu = 0.1 }")
SCALE = Kind(
    "a number, or one for each tensor",
    _either(_number, _table_of(_number)),
    "{ W = 1e-6, v = 1e-8 }",
)
WIDTHS = Kind(
    "an integer, or one for each layer",
    _either(_integer, _table_of(_integer)),
    "{ h1 = 20, h2 = 10 }",
)
PAIR = Kind(
    "a list of two integers",
    lambda value: _list_of(_integer)(value) and len(value) == 2,
    "[0, 1]",
)
NAMES = Kind("a list of texts", _list_of(_text), '["norms", "spectra"]')
FILES = NAMES._replace(example='["pdf"]')
NUMBERS = Kind("a list of numbers", _list_of(_number), "[1.0, 10.0]")
EVENTS = Kind(
    "a table of events, each with a number or a list of numbers",
    _table_of(_either(_number, _list_of(_number))),
    "{ loss_below = 0.5 }",
)
ARRAY = Kind(
    "a path (.npy, .csv), or a list of numbers or of rows",
    _either(_text, lambda value: isinstance(value, list) and _nested(value)),
    "[[1.0, 0.0], [0.0, 1.0]]",
)

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "network": {
        "architecture": Key(TEXT, "fully-connected", "a name that `flowtheory derive` knows"),
        "layers": Key(INTEGER, "2", "weight layers"),
        "activation": Key(TEXT, "that of the architecture", "a name or an expression in z"),
        "options": Key(OPTIONS, "none", "further options of the architecture"),
        "file": Key(TEXT, "", "instead: a Python file that defines `network`"),
    },
    "loss": {
        "name": Key(TEXT, "mse", "a name, or an expression in y and f"),
        "reduction": Key(TEXT, "that of the loss", '"sum" or "mean" over samples'),
    },
    "data": {
        "NAME": Key(ARRAY, "", "an array of the network: x of shape (n, D), y of shape (n,), ..."),
        "file": Key(TEXT, "", "an .npz with arrays by name, or a .csv whose last column is y"),
        "family": Key(TEXT, "", "a synthetic family of `flowtheory.data`"),
        "options": Key(
            OPTIONS._replace(example="{ mu = 0.1 }"),
            "those of the family",
            "its parameters, such as mu and n",
        ),
        "digits": Key(PAIR, "", "two classes of the bundled digits; the first gets y = +1"),
        "mnist": Key(TEXT, "", "a directory with the IDX files of MNIST"),
        "classes": Key(PAIR, "[0, 1]", "its two classes; the first gets y = +1"),
    },
    "init": {
        "scale": Key(SCALE, "1e-6", "standard deviation of every entry"),
        "seed": Key(INTEGER, "0", "of the random numbers"),
        "width": Key(WIDTHS, str(WIDTH), "neurons of a hidden layer"),
        "file": Key(TEXT, "", "instead: an .npz with the parameters by name"),
    },
    "run": {
        "t_end": Key(NUMBER, "none", "final time; may be left out with `until`"),
        "t_start": Key(NUMBER, "0", "time of the start"),
        "until": Key(EVENTS, "none", "what ends the run: loss_below, plateau_left, norm_above"),
        "watch": Key(EVENTS, "none", "what is noted while the run goes on"),
        "times": Key(NUMBERS, "by change", "times to save at"),
        "save": Key(NAMES, ", ".join(DEFAULT), f"observables: {', '.join(OBSERVABLES)}"),
        "rtol": Key(NUMBER, f"{SETTINGS.rtol:g}", "relative tolerance of a step, by neuron"),
        "atol": Key(NUMBER, "far below the smallest neuron", "absolute tolerance"),
        "method": Key(TEXT, SETTINGS.method, '"dopri8" or "tsit5"'),
        "log_time": Key(BOOLEAN, "false", "integrate in log(1 + t)"),
        "estimate": Key(BOOLEAN, "true", "make the second run that gives the error"),
        "max_steps": Key(INTEGER, f"{SETTINGS.max_steps:,}", "budget of steps"),
        "time_limit": Key(NUMBER, "none", "wall time in seconds"),
        "every": Key(NUMBER, f"{EVERY:g}", "seconds between two checkpoints, at least"),
    },
    "output": {
        "directory": Key(TEXT, "out/NAME of the file", "where the results go"),
        "formats": Key(
            NAMES._replace(example='["pdf"]'), "svg, png", "of the figure: svg, pdf, png"
        ),
    },
}
"""Section -> key -> what it is; `NAME` in [data] stands for the arrays of the network."""

FORMATS = ("svg", "pdf", "png")


def reference() -> str:
    """The sections and keys as Markdown."""
    parts = []
    for section, keys in SECTIONS.items():
        parts.append(f"### `[{section}]`\n\n| key | value | default | |\n|---|---|---|---|")
        for name, key in keys.items():
            shown = "*name*" if name == "NAME" else f"`{name}`"
            value = f"{key.kind.words}, such as `{key.kind.example}`"
            value = key.kind.words if key.kind in (TEXT, INTEGER, NUMBER, BOOLEAN) else value
            parts.append(f"| {shown} | {value} | {key.default} | {key.says} |")
        parts.append("")
    return "\n".join(parts).rstrip()
