"""The leading flow at small initialization agrees with the full flow to relative order eps^q."""

from flowtheory.laws.leading_flow_error.law import LAW as LAW
