"""Data: labelled sets with their geometry, synthetic families, digits and MNIST, subsets."""

from flowtheory.data.class_pair import class_pair as class_pair
from flowtheory.data.dataset import LabelledData as LabelledData
from flowtheory.data.digits import digits as digits
from flowtheory.data.digits import load_digits as load_digits
from flowtheory.data.families import FAMILIES as FAMILIES
from flowtheory.data.families import Case as Case
from flowtheory.data.families import family as family
from flowtheory.data.families import gaussian_starts as gaussian_starts
from flowtheory.data.families import repeller_starts as repeller_starts
from flowtheory.data.mnist import fetch_mnist as fetch_mnist
from flowtheory.data.mnist import load_mnist as load_mnist
from flowtheory.data.subset import separable_subset as separable_subset
