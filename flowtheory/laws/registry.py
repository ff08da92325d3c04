"""All laws by name. A new law is one file (or package) and one row here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flowtheory.errors import unknown_name
from flowtheory.laws.alignment_time import LAW as ALIGNMENT_TIME
from flowtheory.laws.balancedness import LAW as BALANCEDNESS
from flowtheory.laws.deep_linear_time import LAW as DEEP_LINEAR_TIME
from flowtheory.laws.deflate_and_restart import LAW as DEFLATE_AND_RESTART
from flowtheory.laws.hessian_at_saddles import LAW as HESSIAN_AT_SADDLES
from flowtheory.laws.leading_flow_error import LAW as LEADING_FLOW_ERROR
from flowtheory.laws.mode_times import LAW as MODE_TIMES
from flowtheory.laws.record import Law
from flowtheory.laws.swing_by import LAW as SWING_BY
from flowtheory.laws.unbalanced_linear import LAW as UNBALANCED_LINEAR

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            ALIGNMENT_TIME,
            LEADING_FLOW_ERROR,
            DEEP_LINEAR_TIME,
            HESSIAN_AT_SADDLES,
            MODE_TIMES,
            BALANCEDNESS,
            UNBALANCED_LINEAR,
            DEFLATE_AND_RESTART,
            SWING_BY,
        )
    }
)


def get_law(name: str) -> Law:
    """The law registered as `name`.

    Raises:
        UnknownNameError: no such law; the message lists the known ones.
    """
    if name not in LAWS:
        raise unknown_name("law", name, LAWS, more="flowtheory laws")
    return LAWS[name]
