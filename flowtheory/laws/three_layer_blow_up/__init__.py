"""Finite-time blow-up of three and more layers, with its time in brackets."""

from flowtheory.laws.three_layer_blow_up.law import LAW as LAW
