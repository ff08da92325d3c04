"""Orientations of single neurons and of networks, counted by clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.flow.fall import fall
from flowtheory.flow.field import Samples, TwoLayer
from flowtheory.judge import Evidence
from flowtheory.laws.condensed_orientations.adam import adam
from flowtheory.laws.condensed_orientations.counts import parameters
from flowtheory.laws.condensed_orientations.lone_neurons import at_blow_up
from flowtheory.laws.condensed_orientations.symmetric_sets import (
    Labelled,
    cube,
    fan,
    orthonormal,
    tetrahedron,
)
from flowtheory.laws.record import Settings
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.similarity import clusters
from flowtheory.symbolic.directions.find import critical_directions

WIDTH, SAMPLES = 50, 20
NEURONS, ROWS = 512, 7


def neurons(settings: Settings) -> Iterator[Evidence]:
    """Single neurons from random starts to their blow-up: their orientations, by clusters."""
    rng = np.random.default_rng([settings.seed, 1])
    orders = settings.effort.pick((3,), (2, 3, 4), (2, 3, 4, 5))
    for order in orders:
        sets = [fan(order), orthonormal(order, np.ones(3))] if order > 2 else [fan(2)]
        sets += [one for one in (tetrahedron(), cube()) if one.order == order]
        for _ in range(settings.effort.pick(5, 20, 100)):
            dimension = int(rng.integers(2, 4))
            x, y = rng.standard_normal((ROWS, dimension)), rng.standard_normal(ROWS)
            sets.append(Labelled("random", order, x, y))
        for data in sets:
            yield from _lone(data, rng, settings.seed)


def _lone(data: Labelled, rng: np.random.Generator, seed: int) -> Iterator[Evidence]:
    found = critical_directions(data.x, data.y, data.order)
    ends = at_blow_up(data.order, *_padded(data), NEURONS, rng)
    groups = clusters(ends.directions, threshold=0.999)
    fates = {"blew up": len(ends.signs), "did not": ends.remaining}
    known = {**parameters(found), "h": NEURONS}
    common = {"experiment": "neurons", "parameters": known, "seed": seed}
    random = "random" if data.name == "random" else "symmetric"
    yield Evidence(
        **common, family=random, measured=groups.number.value, counts=fates, note=data.name
    )
    own = found.growing_orientations
    lines = np.pad([one.direction for one in own], ((0, 0), (0, 3 - found.dimension)))
    same = ends.signs[:, None] * np.array([one.sign for one in own]) > 0
    cosines = np.where(same, ends.directions @ lines.T, -1.0).max(axis=1)
    yield Evidence(**common, family="alignment", measured=float(cosines.min()), note=data.name)


def _padded(data: Labelled) -> tuple[Float[np.ndarray, "rows 3"], Float[np.ndarray, " rows"]]:
    """Data of one shape, for one compilation: inputs that are 0 and labels 0 change nothing."""
    missing = (0, ROWS - len(data.y))
    return np.pad(data.x, (missing, (0, 3 - data.x.shape[1]))), np.pad(data.y, missing)


class _Trial(NamedTuple):
    """A network on a data set: its activation, neurons, and the loss at which leaders are seen."""

    data: Labelled
    activation: str
    width: int
    level: float


def networks(settings: Settings) -> Iterator[Evidence]:
    """Real networks: Adam as published, and the first leaders of gradient flow."""
    trials = (
        _Trial(tetrahedron(), "z**2*tanh(z)", 100, 0.95),
        _Trial(cube(), "z**3*tanh(z)", 400, 0.98),
        _Trial(orthonormal(3, np.ones(3)), "z**2*tanh(z)", 100, 0.95),
    )
    for k, (data, activation, width, level) in enumerate(trials):
        found = critical_directions(data.x, data.y, data.order)
        common = {"experiment": "networks", "parameters": parameters(found), "note": data.name}
        model = two_layer_model(activation, "half_mse")
        x, y = _padded(data)
        seen = Samples(1.5 * x, y, np.float64(1 / len(data.y)))  # type: ignore[arg-type]
        for start in range(settings.effort.pick(2, 5, 40)):
            rng = np.random.default_rng([settings.seed, 2, k, start])
            end = adam(model, seen, _start(rng, width, 0.02), 1e-6, step=2e-4)
            weights = np.asarray(end.params.W)
            if data.name == "orthonormal":
                unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
                share = np.mean(np.abs(unit).max(axis=1) > 0.98)
                yield Evidence(**common, family="Adam, share", measured=float(share), seed=start)
            else:
                groups = clusters(weights, threshold=0.98, least=0.1)
                # One neuron alone is still on its way: in 4 of 80 networks there is one.
                number = float(np.count_nonzero(groups.sizes > 1))
                yield Evidence(**common, family="Adam", measured=number, seed=start)
        rng = np.random.default_rng([settings.seed, 3, k])
        leaders = []
        whole = float(np.mean(data.y**2)) / 2
        for _ in range(settings.effort.pick(15, 40, 100) * parameters(found)["N_+"]):
            end = fall(model, seen, _start(rng, 20, 1e-3), level * whole, c=0.3)
            weights = np.asarray(end.params.W)
            sizes = np.linalg.norm(weights, axis=1)
            leaders.append(weights[sizes > 0.5 * sizes.max()])
        number = clusters(np.concatenate(leaders), threshold=0.9).number.value
        yield Evidence(**common, family="leaders", measured=number, seed=settings.seed)


def _start(rng: np.random.Generator, width: int, scale: float) -> TwoLayer:
    v, W = rng.standard_normal(width), rng.standard_normal((width, 3))
    return TwoLayer(scale * W, scale * v)  # type: ignore[arg-type]


OUTPUT_AT_ZERO = {"tanh": (0.0, 1.0), "sigmoid": (0.5, 0.25), "softplus": (np.log(2), 0.5)}
_MEANS = {"mean 0": 0.0, "small mean": 2.5e-4, "mean 1": 1.0}


def multiplicity_one(settings: Settings) -> Iterator[Evidence]:
    """Random data: orientations of a layer of multiplicity 1 when its loss has begun to fall."""
    names = settings.effort.pick(("tanh", "sigmoid"), tuple(OUTPUT_AT_ZERO), tuple(OUTPUT_AT_ZERO))
    for case in range(settings.effort.pick(3, 12, 60)):
        rng = np.random.default_rng([settings.seed, 4, case])
        x = rng.standard_normal((SAMPLES, 3)) + np.array([0.5, 0.0, 0.0])
        teacher = rng.standard_normal(3)
        y = np.tanh(1.3 * x @ teacher / np.linalg.norm(teacher))
        for name in names:
            for mean in _MEANS:
                start = _start(rng, WIDTH, 1e-6)
                yield from _begun(name, mean, x, y - y.mean(), start)


def _begun(
    name: str,
    mean: str,
    x: Float[np.ndarray, "n D"],
    centred: Float[np.ndarray, " n"],
    start: TwoLayer,
) -> Iterator[Evidence]:
    (zero, slope), y = OUTPUT_AT_ZERO[name], centred + _MEANS[mean]
    fitted = centred if zero else y  # what is left when the constant has been fitted
    z, plain = slope * x.T @ fitted / len(y), x.T @ y / len(y)
    seen = Samples(x, y, np.float64(1 / len(y)))  # type: ignore[arg-type]
    level = 0.97 * float(np.mean(fitted**2)) / 2
    end = fall(two_layer_model(name, "half_mse"), seen, start, level, c=0.3)
    W = np.asarray(end.params.W)
    shift = _MEANS[mean] / (WIDTH * zero) if zero else 0.0
    largest = W[np.argmax(np.linalg.norm(W, axis=1))]
    known = {
        "p": 1, "D": 3, "delta": shift, "epsilon": 1e-6, "lambda": float(np.linalg.norm(z)),
        "T": end.time, "c": _cosine(z, plain),
    }  # fmt: skip
    number = clusters(W, threshold=0.98, least=0.05).number.value
    common = {"experiment": "multiplicity one", "parameters": known, "note": f"{name}, {mean}"}
    yield Evidence(**common, family="orientations", measured=number)
    yield Evidence(**common, family="alignment", measured=_cosine(largest, z))


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other)))
