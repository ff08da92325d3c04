"""Observables: NumPy in, labelled numbers out."""

from flowtheory.measure.alignment import AlignmentTimes as AlignmentTimes
from flowtheory.measure.alignment import Cone as Cone
from flowtheory.measure.alignment import alignment_times as alignment_times
from flowtheory.measure.margin import max_margin as max_margin
from flowtheory.measure.measurement import Measurement as Measurement
from flowtheory.measure.plateau import Plateau as Plateau
from flowtheory.measure.plateau import plateau_time as plateau_time
from flowtheory.measure.plateau import plateaus as plateaus
from flowtheory.measure.spectrum import cosines as cosines
from flowtheory.measure.spectrum import squared_spectral_norm as squared_spectral_norm
from flowtheory.measure.spectrum import stable_rank as stable_rank
from flowtheory.measure.stages import LossStage as LossStage
from flowtheory.measure.stages import loss_stages as loss_stages
