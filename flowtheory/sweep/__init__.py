"""Grids of runs: planned, computed here or on a cluster, kept under what they depend on.

xarray and Dask are imported when they are needed.
"""

from flowtheory.sweep.home import Home as Home
from flowtheory.sweep.plan import Batch as Batch
from flowtheory.sweep.plan import plan as plan
from flowtheory.sweep.probe import Found as Found
from flowtheory.sweep.probe import Measure as Measure
from flowtheory.sweep.probe import Parameter as Parameter
from flowtheory.sweep.probe import Probe as Probe
from flowtheory.sweep.run import Summary as Summary
from flowtheory.sweep.run import results as results
from flowtheory.sweep.run import sweep as sweep
from flowtheory.sweep.store import Store as Store
from flowtheory.sweep.study import Study as Study
from flowtheory.sweep.study_file import read_study as read_study
