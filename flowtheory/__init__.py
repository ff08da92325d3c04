"""flowtheory: derive, integrate, measure and judge small-initialization training dynamics."""

from typing import TYPE_CHECKING, Any

from flowtheory.clock import Clock as Clock
from flowtheory.outcome import Outcome as Outcome
from flowtheory.precision import float64 as float64

if TYPE_CHECKING:
    from flowtheory.engine.gradient_flow import GradientFlow as GradientFlow
    from flowtheory.engine.many import Ensemble as Ensemble
    from flowtheory.engine.many import solve_many as solve_many
    from flowtheory.engine.run import Run as Run
    from flowtheory.flow.until import event as event
    from flowtheory.flow.until import loss_below as loss_below
    from flowtheory.flow.until import norm_above as norm_above
    from flowtheory.flow.until import plateau_left as plateau_left
    from flowtheory.lower.leading import LoweredFlow as LoweredFlow
    from flowtheory.lower.leading import effective_flow_at
    from flowtheory.lower.leading import vector_field as vector_field
    from flowtheory.symbolic.networks.fully_connected import fully_connected as fully_connected
    from flowtheory.symbolic.networks.registry import find_network

    effective_flow = effective_flow_at
    network = find_network

# SymPy and JAX are loaded when they are first needed: the command line must answer at once.
_LAZY = {
    "GradientFlow": ("flowtheory.engine.gradient_flow", "GradientFlow"),
    "Ensemble": ("flowtheory.engine.many", "Ensemble"),
    "Run": ("flowtheory.engine.run", "Run"),
    "event": ("flowtheory.flow.until", "event"),
    "loss_below": ("flowtheory.flow.until", "loss_below"),
    "norm_above": ("flowtheory.flow.until", "norm_above"),
    "plateau_left": ("flowtheory.flow.until", "plateau_left"),
    "LoweredFlow": ("flowtheory.lower.leading", "LoweredFlow"),
    "effective_flow": ("flowtheory.lower.leading", "effective_flow_at"),
    "solve_many": ("flowtheory.engine.many", "solve_many"),
    "vector_field": ("flowtheory.lower.leading", "vector_field"),
    "fully_connected": ("flowtheory.symbolic.networks.fully_connected", "fully_connected"),
    "network": ("flowtheory.symbolic.networks.registry", "find_network"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'flowtheory' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
