"""`python -m solvation`."""

from solvation.entry import main

main()
