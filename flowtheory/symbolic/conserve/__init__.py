r"""Conserved quantities: found, counted, and in closed form at symbolic size.

To read in this order:

- `polynomial` (sparse polynomials and fields), `modular` (linear algebra modulo a prime, lifted);
- `family`: which fields a law must be constant along, one constructor for each question;
- `search`: all polynomial laws up to a degree; `lie_rank`: an upper bound of the number of all
  laws; `count` brings the two together;
- `architectures`: factorizations with given widths;
- `closed_form`: laws in index notation, proved for every size.
"""

from flowtheory.symbolic.conserve.closed_form import imbalance as imbalance
from flowtheory.symbolic.conserve.closed_form import is_conserved as is_conserved
from flowtheory.symbolic.conserve.closed_form import residual as residual
