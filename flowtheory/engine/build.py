r"""From a run's file to a flow, a start and the options of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.engine.arrays import read_csv, read_npy, read_npz
from flowtheory.engine.gradient_flow import SETTINGS, GradientFlow
from flowtheory.engine.keys import FORMATS, SECTIONS
from flowtheory.engine.observables import DEFAULT, OBSERVABLES
from flowtheory.engine.spec import MORE, Spec, unknown_key
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.until import NEVER, Until, loss_below, norm_above, plateau_left

SCALE = 1e-6
_EVENTS = {"loss_below": loss_below, "plateau_left": plateau_left, "norm_above": norm_above}
_SOURCES = ("file", "family", "digits", "mnist")
_OPTION_OF = {"options": "family", "classes": "mnist"}


def make_flow(spec: Spec) -> GradientFlow:
    """Network, loss and data of a file.

    Raises:
        FlowtheoryError: what the network, the loss or the data refuse, with the line of the file.
    """
    network = _network(spec)
    arrays = _data(spec, tuple(map(str, network.data)))
    reduction = spec.get("loss", "reduction")
    if reduction not in (None, "sum", "mean"):
        raise unknown_key(f"{spec.where('loss', 'reduction')} is {reduction!r}", reduction, _SUMS)
    with spec.locating("data"):
        return GradientFlow(network, _loss(spec), reduction=reduction, **arrays)


def make_start(spec: Spec, flow: GradientFlow) -> dict[str, Any]:
    """The parameters that a file's run starts from.

    Raises:
        FlowtheoryError: what the network refuses, with the line of the file.
    """
    if spec.has("init", "file"):
        _alone(spec, "init", "file", ("scale", "seed", "width"))
        with spec.locating("init", "file"):
            return read_npz(spec.near(spec.get("init", "file")))
    given = spec.values.get("init", {})
    key = next((name for name in ("width", "scale") if name in given), None)
    with spec.locating("init", key):
        return flow.init(**{"scale": SCALE, **given})


def options(spec: Spec) -> dict[str, Any]:
    """The arguments of `GradientFlow.solve` that a file gives, besides the start.

    Raises:
        FlowtheoryError: values that make no sense, with the line of the file.
    """
    given = dict(spec.values.get("run", {}))
    found: dict[str, Any] = {
        key: given[key]
        for key in ("t_end", "t_start", "rtol", "atol", "log_time", "estimate", "every")
        if key in given
    }
    for key in ("until", "watch"):
        found[key] = _until(spec, key, given.get(key, {}))
    if "t_end" not in given and not found["until"].events:
        raise ParameterError(
            f"{spec.where('run')} has neither a final time nor an event to end the run",
            expected="t_end, or until, or both",
            fix="until = { loss_below = 0.5 }, or t_end = 100.0",
            more=MORE,
        )
    if "times" in given:
        found["times"] = np.array(given["times"], dtype=np.float64)
    found["save"] = tuple(given.get("save", DEFAULT))
    for name in found["save"]:
        if name not in OBSERVABLES:
            raise unknown_key(
                f"{spec.where('run', 'save')}: {name} is no observable", name, OBSERVABLES
            )
    for key in ("method", "max_steps", "time_limit"):
        if key in given:
            with spec.locating("run", key):
                found["settings"] = replace(found.get("settings", SETTINGS), **{key: given[key]})
    return found


def output(spec: Spec) -> tuple[Path, tuple[str, ...]]:
    """Directory and formats of the results.

    Raises:
        UnknownNameError: a format that is not written.
    """
    formats = tuple(spec.get("output", "formats", ("svg", "png")))
    for name in formats:
        if name not in FORMATS:
            raise unknown_key(
                f"{spec.where('output', 'formats')}: {name} is not written", name, FORMATS
            )
    default = Path("out") / spec.path.stem
    return Path(spec.get("output", "directory", default)).expanduser(), formats


_SUMS = ("sum", "mean")


def _network(spec: Spec) -> Any:
    from flowtheory.symbolic.networks.custom import load_network
    from flowtheory.symbolic.networks.registry import find_network

    if spec.has("network", "file"):
        _alone(spec, "network", "file", ("architecture", "layers", "activation", "options"))
        with spec.locating("network", "file"):
            return load_network(spec.near(spec.get("network", "file"))).network
    key = next((k for k in ("architecture", "activation") if spec.has("network", k)), None)
    with spec.locating("network", key):
        return find_network(
            spec.get("network", "architecture", "fully-connected"),
            spec.get("network", "layers", 2),
            spec.get("network", "activation"),
            **spec.get("network", "options", {}),
        )


def _loss(spec: Spec) -> Any:
    from flowtheory.symbolic.loss import find_loss

    with spec.locating("loss", "name"):
        return find_loss(spec.get("loss", "name", "mse"))


def _data(spec: Spec, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of the network, from one source and from keys of their own."""
    given = spec.values.get("data", {})
    own = [key for key in given if key not in SECTIONS["data"]]
    for key in own:
        if key not in names:
            known = (*names, *(set(SECTIONS["data"]) - {"NAME"}))
            raise unknown_key(
                f"{spec.where('data', key)} is neither a key nor an array of the network",
                key,
                known,
            )
    sources = [key for key in _SOURCES if key in given]
    if len(sources) > 1:
        raise _clash(spec, "data", sources[1], sources[0])
    for key, source in _OPTION_OF.items():
        if key in given and source not in given:
            raise _clash(spec, "data", key, f"no {source}")
    arrays: dict[str, np.ndarray] = {}
    for key in sources:
        with spec.locating("data", key):
            arrays |= _SOURCE[key](spec)
    for key in own:
        with spec.locating("data", key):
            arrays[key] = _array(spec, key, given[key])
    return arrays


def _from_file(spec: Spec) -> dict[str, np.ndarray]:
    path = spec.near(spec.get("data", "file"))
    if path.suffix != ".csv":
        return read_npz(path)
    table = read_csv(path)
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(
            f"{path} has the shape {table.shape}",
            expected="at least two columns: inputs, and y last",
            fix="give x and y by keys of their own",
        )
    return {"x": table[:, :-1], "y": table[:, -1]}


def _from_family(spec: Spec) -> dict[str, np.ndarray]:
    from flowtheory.data import family

    make, chosen = family(spec.get("data", "family")), spec.get("data", "options", {})
    known = signature(make).parameters
    for name in chosen:
        if name not in known:
            where = spec.where("data", "options")
            raise unknown_key(f"{where}: the family has no option {name!r}", name, known)
    data = make(**chosen).data
    return {"x": data.x, "y": data.y}


def _from_digits(spec: Spec) -> dict[str, np.ndarray]:
    from flowtheory.data import digits

    data = digits(*spec.get("data", "digits"))
    return {"x": data.x, "y": data.y}


def _from_mnist(spec: Spec) -> dict[str, np.ndarray]:
    from flowtheory.data import class_pair, load_mnist

    images, labels = load_mnist(spec.near(spec.get("data", "mnist")))
    data = class_pair(images, labels, *spec.get("data", "classes", (0, 1)), source="MNIST")
    return {"x": data.x, "y": data.y}


_SOURCE = {
    "file": _from_file,
    "family": _from_family,
    "digits": _from_digits,
    "mnist": _from_mnist,
}


def _array(spec: Spec, name: str, value: Any) -> np.ndarray:
    if not isinstance(value, str):
        try:
            return np.array(value, dtype=np.float64)
        except ValueError as error:
            raise DataError(
                f"the rows of {name} have different lengths",
                expected="rows of one length",
                fix=f"{name} = [[1.0, 0.0], [0.0, 1.0]]",
            ) from error
    path = spec.near(value)
    return read_csv(path) if path.suffix == ".csv" else read_npy(path)


def _until(spec: Spec, key: str, table: Mapping[str, Any]) -> Until:
    found = NEVER
    for name, levels in table.items():
        if name not in _EVENTS:
            raise unknown_key(f"{spec.where('run', key)}: {name} is no event", name, _EVENTS)
        for level in levels if isinstance(levels, list) else [levels]:
            with spec.locating("run", key):
                found = found | _EVENTS[name](level)
    return found


def _alone(spec: Spec, section: str, key: str, others: tuple[str, ...]) -> None:
    clashing = [other for other in others if spec.has(section, other)]
    if clashing:
        raise _clash(spec, section, clashing[0], key)


def _clash(spec: Spec, section: str, key: str, other: str) -> ParameterError:
    return ParameterError(
        f"{spec.where(section, key)} was given together with {other}"
        if not other.startswith("no ")
        else f"{spec.where(section, key)} was given, and {other}",
        expected="one source, and only its own options",
        fix=f"leave one of them out: {key}, {other.removeprefix('no ')}",
        more=MORE,
    )
