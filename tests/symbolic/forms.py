"""Dense symmetric tensors: independent of the forms of the package."""

from itertools import permutations

import numpy as np
import sympy as sp


def dense(X, weights, p):
    """The tensor by outer products: independent of the forms of the package."""
    X, weights = np.asarray(X, float), np.asarray(weights, float)
    T = weights / len(weights)
    for _ in range(p):
        T = T[..., None] * X.reshape(len(X), *(1,) * (T.ndim - 1), X.shape[1])
    return T.sum(axis=0)


def contracted(T, u, times):
    for _ in range(times):
        T = T @ u
    return T


def random_data(p, D, seed, n=8):
    random = np.random.default_rng([p, D, seed])
    return random.normal(size=(n, D)), random.normal(size=n)


def symmetric(polynomial, variables):
    """The tensor of a form, from its coefficients."""
    form = sp.Poly(polynomial, *variables)
    p = form.total_degree()
    T = np.zeros((len(variables),) * p, dtype=object)
    for powers, c in form.terms():
        at = [j for j, k in enumerate(powers) for _ in range(k)]
        places = set(permutations(at))
        for place in places:
            T[place] = c / len(places)
    return T
