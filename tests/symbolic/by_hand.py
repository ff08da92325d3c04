"""Outputs of the registered networks in NumPy, written without the package."""

import numpy as np
import scipy.special

SIGMA = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "relu**2": lambda z: np.maximum(z, 0) ** 2,
    "abs": np.abs,
    "identity": lambda z: z,
    "tanh": np.tanh,
    "erf": scipy.special.erf,
    "sin": np.sin,
    "sigmoid": scipy.special.expit,
    "softplus": lambda z: np.logaddexp(0, z),
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "silu": lambda z: z * scipy.special.expit(z),
    "z*tanh(z)": lambda z: z * np.tanh(z),
    "z**2*tanh(z)": lambda z: z**2 * np.tanh(z),
    "cos-1": lambda z: -2 * np.sin(z / 2) ** 2,
}


def output(name, layers, sigma, options, A):
    """The output of the architecture `name`; `sigma` a name or a function, `A` arrays by name."""
    function = sigma if callable(sigma) else SIGMA[sigma or "identity"]
    return _FORMULAS[name](layers, function, options, A)


def _weights(layers, A):
    last = "v" if "v" in A else "V"
    names = [f"W{k}" for k in range(1, layers)] if layers != 2 else ["W"]
    return [A[name] for name in (*names, last)]


def _dense(layers, sigma, options, A):
    signal = A["x"]
    for k, weight in enumerate(_weights(layers, A), 1):
        signal = signal @ weight.T + A.get(f"b{k}", 0.0)
        signal = sigma(signal) if k < layers else signal
    return signal


def _matrix(layers, sigma, options, A):
    product = np.eye(A[_first(layers)].shape[1])
    for weight in _weights(layers, A):
        product = weight @ product
    return product


def _first(layers):
    return "W" if layers == 2 else "W1"


def _diagonal(layers, sigma, options, A):
    return A["x"] @ np.prod([A[f"u{k}"] for k in range(1, layers + 1)], axis=0)


def _lora(layers, sigma, options, A):
    names = ["A", "B"] if layers == 2 else [f"A{k}" for k in range(1, layers + 1)]
    product = np.eye(A["x"].shape[1])
    for name in names:
        product = A[name] @ product
    return A["x"] @ (A["W0"] + product).T


def _fusion(layers, sigma, options, A):
    fusion = options.get("fusion", layers)
    total = 0.0
    for branch in "AB":
        signal = A[f"x_{branch}"]
        own = [f"W_{branch}{k}" for k in range(1, fusion + 1)]
        if fusion == 2:
            own[0] = f"W_{branch}"
        if fusion == layers:
            own[-1] = f"v_{branch}"
        for name in own:
            signal = signal @ A[name].T
        total = total + signal
    for k in range(fusion + 1, layers + 1):
        total = total @ A["v" if k == layers else f"W{k}"].T
    return total


def _convolutional(layers, sigma, options, A):
    *kernels, readout = _weights(layers, A)
    channels = A["x"]
    for kernel in kernels:
        channels = sigma(channels @ kernel.T)  # [n, S, h]
    if options.get("readout") == "mean":
        return channels.mean(axis=1) @ readout
    return np.einsum("ntj,jt->n", channels, readout)


def _residual(layers, sigma, options, A):
    h = A["x"]
    for k in range(1, layers + 1):
        h = h + sigma(h @ A[f"W{k}"].T) @ A[f"V{k}"].T
    return h @ A["v"]


def _prelu(layers, sigma, options, A):
    power = options.get("power", 2)
    *hidden, readout = _weights(layers, A)
    signal = A["x"]
    for weight in hidden:
        norms = np.linalg.norm(weight, axis=1)
        signal = norms * np.maximum(signal @ (weight / norms[:, None]).T, 0) ** power
    return signal @ readout


_FORMULAS = {
    "fully-connected": _dense,
    "fully-connected-vector": _dense,
    "fully-connected-biases": _dense,
    "fully-connected-vector-biases": _dense,
    "deep-linear": _dense,
    "matrix-factorization": _matrix,
    "diagonal-linear": _diagonal,
    "lora": _lora,
    "late-fusion": _fusion,
    "convolutional": _convolutional,
    "residual": _residual,
    "prelu": _prelu,
}
