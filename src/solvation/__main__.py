"""`python -m solvation`."""

from solvation.cli.app import main

main()
