"""Liquids before they move: packed boxes, force fields of their molecules, terms of their ions."""
