r"""Early neuron alignment in two-layer ReLU networks: published bound, sharper bound, evidence."""

from flowtheory.laws.alignment_time.law import LAW as LAW
