r"""What a run is asked for, as text and numbers: to recognise it, and to take it up again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from flowtheory.engine.observables import split
from flowtheory.errors import ParameterError
from flowtheory.files import plain
from flowtheory.flow.settings import Settings
from flowtheory.flow.until import NEVER, Event, Until
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import Network

_OURS = "flowtheory."
_EARLIER = {"classified": False, "skip": True}  # what version 1 of a checkpoint did not write


@dataclass(frozen=True)
class Asked:
    """The arguments of one `GradientFlow.solve`.

    Attributes:
        params: parameters at `t_start`, by name.
        t_start: their time.
        t_end: final time, or inf.
        until: events that end the run.
        watch: events that are noted.
        times: times to save at; None to save by change.
        save: names of observables, or a function.
        log_time: whether to integrate in log(1 + t).
        estimate: whether to make the second run.
        skip: whether a small start may be carried on in closed form.
        settings: tolerances and budgets.
    """

    params: Mapping[str, np.ndarray]
    t_start: float
    t_end: float
    until: Until
    watch: Until
    times: np.ndarray | None
    save: str | Iterable[str] | Callable[..., Any]
    log_time: bool
    estimate: bool
    skip: bool
    settings: Settings

    def options(self) -> dict[str, Any]:
        """All but the arrays, as JSON can hold it; budgets (steps, time, chunk) besides."""
        names, own = split(self.save)
        return {
            "t_start": plain(self.t_start),
            "t_end": plain(self.t_end),
            "until": [_event(event) for event in self.until.events],
            "classified": self.until.classified,
            "watch": [_event(event) for event in self.watch.events],
            "save": _reference(own) if own else list(names),
            "log_time": self.log_time,
            "estimate": self.estimate,
            "skip": self.skip,
            "rtol": plain(self.settings.rtol),
            "atol": None if self.settings.atol is None else plain(self.settings.atol),
            "method": self.settings.method,
            "coordinates": self.settings.coordinates,
        }

    def budgets(self) -> dict[str, Any]:
        """What may be raised when a run is taken up again."""
        settings = self.settings
        return {
            "max_steps": settings.max_steps,
            "max_switches": settings.max_switches,
            "time_limit": plain(settings.time_limit),
            "chunk": settings.chunk,
        }


def asked_again(
    manifest: Mapping[str, Any],
    params: Mapping[str, np.ndarray],
    times: np.ndarray | None,
    *,
    until: Until | None,
    watch: Until | None,
    save: str | Iterable[str] | Callable[..., Any] | None,
) -> Asked:
    """What a checkpoint was asked for; functions of the user's own are to be given again.

    Raises:
        ParameterError: one of these is missing.
    """
    options, budgets = _EARLIER | manifest["options"], manifest["budgets"]
    if save is None and isinstance(options["save"], str):
        raise _needed("save", options["save"])
    return Asked(
        params,
        float(options["t_start"]),
        float(options["t_end"]),
        _until("until", options["until"], options["classified"]) if until is None else until,
        _until("watch", options["watch"]) if watch is None else watch,
        times,
        options["save"] if save is None else save,
        options["log_time"],
        options["estimate"],
        options["skip"],
        Settings(
            rtol=float(options["rtol"]),
            atol=None if options["atol"] is None else float(options["atol"]),
            method=options["method"],
            coordinates=options["coordinates"],
            max_steps=budgets["max_steps"],
            max_switches=budgets.get("max_switches"),
            time_limit=float(budgets["time_limit"]),
            chunk=budgets["chunk"],
        ),
    )


def identity(
    network: Network, loss: Loss, reduction: str, data: Mapping[str, np.ndarray], asked: Asked
) -> dict[str, str]:
    """What tells one run from another, part by part."""
    tensors = ", ".join(f"{entry.base}{entry.base.shape}" for entry in network.parameters)
    times = {} if asked.times is None else {"times": np.asarray(asked.times)}
    return {
        "network": f"f = {network.output} with {tensors}",
        "loss": f"{reduction} of {loss.expression}",
        "data": digest(data),
        "start": digest(asked.params),
        "times to save at": digest(times),
        **{name: json.dumps(value) for name, value in asked.options().items()},
    }


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and float64 values."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], dtype="<f8")
        found.update(f"{name}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _event(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "value": _reference(event.value),
        "level": plain(event.level),
        "direction": event.direction,
        "falling": event.falling,
        "lasting": event.lasting,
        "of_plateau": event.of_plateau,
    }


def _until(argument: str, events: list[dict[str, Any]], classified: bool = False) -> Until:
    found = []
    for event in events:
        value = _resolved(event["value"])
        if value is None:
            raise _needed(argument, event["name"])
        found.append(Event(**{**event, "value": value, "level": float(event["level"])}))
    return Until(tuple(found), classified) if found or classified else NEVER


def _reference(function: Any) -> str:
    """Where a function is defined; of a function in a wrapper, the wrapped one."""
    inner = getattr(function, "function", function)
    name = getattr(inner, "__qualname__", type(inner).__name__)
    return f"{getattr(inner, '__module__', '?')}:{name}"


def _resolved(reference: str) -> Any:
    """A module-level function of this package; None for any other."""
    module, _, name = reference.partition(":")
    if not module.startswith(_OURS) or not name.isidentifier():
        return None
    return getattr(import_module(module), name, None)


def _needed(argument: str, name: str) -> ParameterError:
    return ParameterError(
        f"{argument} was a function of your own ({name}), which no file can hold",
        expected="the same function again",
        fix=f"flow.resume(path, {argument}=...)",
    )
