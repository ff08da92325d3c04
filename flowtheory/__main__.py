"""`python -m flowtheory` is the command line."""

from flowtheory.cli.main import main

main()
