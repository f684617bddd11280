"""Complexes of an ion and its ligands: placed, searched, relaxed and checked."""
