"""The `--data` and `--classes` options: which real data a law is verified on."""

from __future__ import annotations

from flowtheory.data import LabelledData, class_pair, digits, fetch_mnist, load_mnist
from flowtheory.errors import ParameterError

_EXPECTED = "digits, mnist, mnist:PATH or synthetic"


def load(spec: str, classes: str) -> LabelledData | None:
    """The data set of a `--data` option; None for synthetic data only."""
    positive, negative = _classes(classes)
    kind, _, path = spec.partition(":")
    if kind == "digits" and not path:
        return digits(positive, negative)
    if kind == "mnist":
        # The test set: 10,000 images; the training set's Gram matrix would take gigabytes.
        images, labels = load_mnist(path, split="test") if path else fetch_mnist()
        return class_pair(images, labels, positive, negative, source="MNIST")
    if spec == "synthetic":
        return None
    raise ParameterError(
        f"--data {spec!r} is not a data set",
        expected=_EXPECTED,
        fix="--data digits (the default), or --data mnist:DIRECTORY with the IDX files in it",
    )


def _classes(spec: str) -> tuple[int, int]:
    parts = spec.split(",")
    try:
        positive, negative = (int(part) for part in parts)
    except ValueError as error:
        raise ParameterError(
            f"--classes {spec!r} is not a pair of classes",
            expected="two digits separated by a comma; the first gets the label +1",
            fix="--classes 0,1",
        ) from error
    return positive, negative
