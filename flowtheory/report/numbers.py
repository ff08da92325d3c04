"""Numbers as people read them; the same digits on the terminal and on the page."""

from __future__ import annotations

import math
import re

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PRINTED = (("<=", "≤"), (">=", "≥"), ("->", "→"), (" - ", " − "))
_RANGE = re.compile(r"(?<!\.)\.\.(?!\.)")  # not the dots of what is left out
_POWER = re.compile(r"(?<![\w.])(?P<mantissa>\d+(?:\.\d+)?)e(?P<exponent>-?\d+)\b")
# A sign, not a hyphen inside a word or an exponent.
_MINUS = re.compile(r"(?<![\w^)])-(?=\d)")
# A ratio this close to 1 is shown by its distance from 1.
_NEAR_ONE = 1e-3


def number(value: float | None, digits: int = 4) -> str:
    """Significant digits; the distance from 1 for a number just below or above it; - for none.

    Integers are shown in full.

    >>> number(0.999999), number(12345.6), number(3.1e-7), number(12345), number(None)
    ('1 - 1e-6', '1.235e4', '3.1e-7', '12,345', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if 1e-15 < abs(value - 1) < _NEAR_ONE:
        return f"1 {'-' if value < 1 else '+'} {_short(abs(value - 1), 2)}"
    return _short(value, digits)


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e" not in text and value and abs(value) < 1e-2:
        text = f"{value:.{digits - 1}e}"
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def span(low: float | None, high: float | None) -> str:
    """A range: `low..high`, or one number if they are equal."""
    if low == high:
        return number(low, 3)
    return f"{number(low, 3)}..{number(high, 3)}"


def with_error(value: float, low: float, high: float) -> str:
    """`value ± half` with the half width to two digits and the value to as many decimals.

    >>> with_error(2.00012, 1.99, 2.01024)
    '2.000 ± 0.010'
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return number(value, 6)
    if half < 1e-4:
        rounded = round(value, 1 - math.floor(math.log10(half)))
        return f"{rounded:.10g} ± {half:.1e}"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:.{decimals}f} ± {half:.{decimals}f}"


def typeset(text: str) -> str:
    r"""Text with its relations, minus signs and powers of ten as they are printed.

    >>> typeset("ratio <= 1e-06"), typeset("0..0.5"), typeset("1 - 1.2e-7").replace("\xa0", " ")
    ('ratio ≤ 10⁻⁶', '0 to 0.5', '1 − 1.2 × 10⁻⁷')
    >>> typeset("T = ln[...]/(2 s)")
    'T = ln[...]/(2 s)'
    """
    for plain, printed in _PRINTED:
        text = text.replace(plain, printed)
    text = _RANGE.sub(" to ", text)
    return _MINUS.sub("−", _POWER.sub(_power_of_ten, text))


def _power_of_ten(found: re.Match[str]) -> str:
    power = f"10{str(int(found['exponent'])).translate(_SUPERSCRIPT)}"
    # No-break spaces: a number stays on one line.
    return power if found["mantissa"] == "1" else f"{found['mantissa']}\xa0×\xa0{power}"
