"""Published laws as objects: one package or file a law, and what a law consists of."""

from flowtheory.laws.attack import Attack as Attack
from flowtheory.laws.attacked import attack_experiment as attack_experiment
from flowtheory.laws.certificate import Certificate as Certificate
from flowtheory.laws.certificate import Certified as Certified
from flowtheory.laws.certificate import Proof as Proof
from flowtheory.laws.certificate import closed_form as closed_form
from flowtheory.laws.check import check_law as check_law
from flowtheory.laws.claim import Claim as Claim
from flowtheory.laws.claim import axis as axis
from flowtheory.laws.record import Assumption as Assumption
from flowtheory.laws.record import Control as Control
from flowtheory.laws.record import Curves as Curves
from flowtheory.laws.record import Effort as Effort
from flowtheory.laws.record import Experiment as Experiment
from flowtheory.laws.record import ExperimentResult as ExperimentResult
from flowtheory.laws.record import Law as Law
from flowtheory.laws.record import Settings as Settings
from flowtheory.laws.record import Statement as Statement
from flowtheory.laws.record import SymbolInfo as SymbolInfo
from flowtheory.laws.record import Verification as Verification
from flowtheory.laws.rows import evidence as evidence
from flowtheory.laws.verify import verify as verify
