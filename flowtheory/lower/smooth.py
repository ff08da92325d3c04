r"""The functions of a smooth gradient flow, lowered from a network and a loss.

One set of function objects for one network, loss and reduction: problems that share it share their
compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from flowtheory.clock import Clock, Reduction
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.groups import Axes, neuron_sizes
from flowtheory.flow.smooth import Functions
from flowtheory.lower.lower import lower, lower_all
from flowtheory.symbolic.conserve.closed_form import Validity
from flowtheory.symbolic.conserve.find import closed_laws
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import free_axes, tensor
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import SAMPLE, SAMPLES, Network, labels, reduced_loss


@lru_cache(maxsize=128)
def smooth_functions(network: Network, loss: Loss, reduction: Reduction) -> Functions:
    """Energy, outputs, groups and conserved quantities of a network under a loss."""
    return Functions(
        energy=_on_data(network, reduced_loss(network, loss, reduction), ()),
        outputs=_on_data(network, network.output, [index for index, _ in network.axes]),
        sizes=neuron_sizes(neuron_axes(network)),
        invariants=conserved(network),
        axes=neuron_axes(network),
    )


@lru_cache(maxsize=64)
def sample_loss(loss: Loss) -> Callable[[Any, Any], Any]:
    r"""$(y, f) \mapsto \ell(y_i, f_i)$, one value a sample."""
    f = tensor("f", SAMPLES)
    return lower(loss(labels(), f[SAMPLE]), (labels().base, f), (SAMPLE,))


def loss_clock(loss: Loss, reduction: Reduction) -> Clock:
    """The clock of a loss; slope 1 where the loss has no constant slope at zero output."""
    try:
        return loss.clock(reduction)
    except ParameterError:
        return Clock(reduction)


def neuron_axes(network: Network) -> Axes:
    """For every tensor its first hidden axis, whose entries are neurons, and that axis' size.

    The input weights and the output weights of a neuron share its tolerance, and so do the weights
    of a coordinate where vectors are multiplied entry by entry.
    """
    given = {str(extent) for extent in _given_extents(network)}
    found = []
    for entry in network.parameters:
        extents = [str(extent) for extent in entry.base.shape]
        hidden = [i for i, extent in enumerate(extents) if extent not in given]
        axis = hidden[0] if hidden else (0 if extents else None)
        alone = axis is None or (len(extents) > 1 and not hidden)
        layer = str(entry.base) if axis is None or alone else extents[axis]
        found.append((str(entry.base), axis, layer))
    return tuple(found)


def parameter_shapes(
    network: Network, data: Mapping[str, Any], widths: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters for given data and widths, by name.

    Raises:
        DataError: Arrays of the data are missing, of the wrong order, or disagree about a size.
        ParameterError: A width that the network does not have.
    """
    sizes = data_sizes(network, data)
    free = free_widths(network)
    unknown = sorted(set(widths) - set(free))
    if unknown:
        raise ParameterError(
            f"{network.name} has no width {', '.join(unknown)}",
            expected=f"of {', '.join(free)}" if free else "no width: the data fix all sizes",
            fix="width=100 sets all of them",
        )
    known = {**sizes, **widths}
    return {
        str(entry.base): tuple(known[str(extent)] for extent in entry.base.shape)
        for entry in network.parameters
    }


def free_widths(network: Network) -> tuple[str, ...]:
    """The sizes that the data do not fix, in the order of the layers."""
    given = {str(extent) for extent in _given_extents(network)}
    extents = [str(extent) for entry in network.parameters for extent in entry.base.shape]
    return tuple(dict.fromkeys(extent for extent in extents if extent not in given))


def data_sizes(network: Network, data: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that the arrays of the data fix, by name.

    Raises:
        DataError: An array is missing, of the wrong order, or disagrees with another.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for base in network.data:
        name = str(base)
        if name not in data:
            needed = ", ".join(map(str, network.data))
            raise DataError(
                f"{name} is missing", expected=f"arrays {needed}", fix=f"give {name}=..."
            )
        shape, extents = data[name].shape, tuple(map(str, base.shape))
        if len(shape) != len(extents):
            raise DataError(
                f"{name} has shape {shape}",
                expected=f"an array of shape ({', '.join(extents)})",
                fix="one row a sample; y is a vector for a scalar output",
            )
        for extent, length in zip(extents, shape, strict=True):
            before, whose = sizes.setdefault(extent, (length, name))
            if before != length:
                raise DataError(
                    f"{name} has {extent} = {length}, and {whose} has {extent} = {before}",
                    expected=f"one size {extent}",
                    fix="check the shapes: rows of x and entries of y are samples",
                )
    return {extent: length for extent, (length, _) in sizes.items()}


def conserved(network: Network) -> Callable[[Any], dict[str, Any]] | None:
    """The quantities that the full flow conserves, derived and lowered; None if there are none."""
    laws = [law for law in closed_laws(network) if law.validity is Validity.FULL_FLOW]
    if not laws:
        return None
    names = tuple(map(str, network.bases))
    values = lower_all([(law.quantity, _order(law.quantity)) for law in laws], network.bases)
    labels = tuple(str(law).split(" for ")[0] for law in laws)

    def function(params: Any) -> dict[str, Any]:
        return dict(zip(labels, values(*(params[name] for name in names)), strict=True))

    return function


def _order(quantity: Expr) -> list[Any]:
    return sorted(free_axes(quantity), key=str)


def _given_extents(network: Network) -> set[Expr]:
    return {extent for base in network.data for extent in base.shape}


def _on_data(network: Network, expr: Expr, outputs: Any) -> Callable[[Any, Any], Any]:
    """`expr` as a function of (params, data), both by name."""
    names, given = tuple(map(str, network.bases)), tuple(map(str, network.data))
    raw = lower(expr, (*network.bases, *network.data), outputs)

    def function(params: Any, data: Any) -> Any:
        return raw(*(params[name] for name in names), *(data[name] for name in given))

    return function
