"""The one style of all figures: sizes, colours, markers, and what the web page does with colours.

Importing it does not load matplotlib. Colours are those of Okabe and Ito (2008), which stay apart
for the common forms of colour blindness; a family is told by its marker as well, so that grey
print works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from flowtheory.errors import DataError

P = ParamSpec("P")
R = TypeVar("R")

# Inches. The text width of the one-column styles of ICLR and NeurIPS, and a column of ICML.
TEXT_WIDTH = 5.5
COLUMN_WIDTH = 3.25

INK = "#1a1a1a"
FAINT = "#9a9a9a"
PAPER = "#ffffff"

BLUE = "#0072b2"
VERMILION = "#d55e00"
GREEN = "#009e73"
ORANGE = "#e69f00"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
# Okabe and Ito's yellow is too light for thin marks on white; this is its shade.
OCHRE = "#a08a00"

DARK_THEME: Mapping[str, str] = MappingProxyType(
    {
        INK: "#e8e6e3",
        FAINT: "#8a8a8a",
        PAPER: "#16181a",
        BLUE: "#4aa8e0",
        VERMILION: "#ff8a3d",
        GREEN: "#2fc79a",
        ORANGE: "#f0b429",
        PURPLE: "#e09cc4",
        SKY: "#7cc8f5",
        OCHRE: "#d6bf3a",
    }
)
"""Every colour that a figure may use, with its counterpart on a dark page."""

CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, OCHRE)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")

POSITIVE, NEGATIVE, DEAD = VERMILION, BLUE, FAINT

MATPLOTLIB: Mapping[Any, Any] = MappingProxyType(
    {
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": 8.0,
        "axes.labelsize": 8.5,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "legend.title_fontsize": 7.5,
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "figure.dpi": 150.0,
        "savefig.bbox": None,
        "savefig.dpi": 300.0,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.minor.width": 0.4,
        "ytick.minor.width": 0.4,
        "lines.linewidth": 1.1,
        "lines.markersize": 3.5,
        "lines.markeredgewidth": 0.7,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "legend.columnspacing": 1.4,
        "axes.grid": False,
        "svg.fonttype": "path",
        # A fixed salt: the same numbers give the same file.
        "svg.hashsalt": "flowtheory",
        "pdf.fonttype": 42,
    }
)


def family_style(families: list[str]) -> dict[str, tuple[str, str]]:
    """(colour, marker) of each family, by its place in the list; no pair occurs twice.

    Raises:
        DataError: more families than there are pairs of colour and marker.
    """
    if len(families) > len(CYCLE) * len(MARKERS):
        raise DataError(
            f"{len(families)} families cannot be told apart in one picture",
            expected=f"at most {len(CYCLE) * len(MARKERS)}",
            fix="give variants of one family the same name",
        )
    # 7 colours and 12 markers: stepping through both at once repeats only after 84.
    return {
        name: (CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]) for k, name in enumerate(families)
    }


def shades(count: int) -> list[float]:
    """Opacities of `count` ordered curves of one colour, the last one opaque.

    An opacity and no lighter colour: the last one stands out on a dark page too.
    """
    return [1.0 - 0.75 * (count - 1 - k) / max(count - 1, 1) for k in range(count)]


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in our style; the user's rcParams are as before afterwards."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context(dict(MATPLOTLIB)):
            return draw(*args, **kwargs)

    return drawn
