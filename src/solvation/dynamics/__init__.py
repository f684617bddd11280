"""Liquids in motion: equilibration, and runs in segments that resume, by force field or by any engine."""
