"""The shells around the ions of a liquid: curves, coordination numbers, kinds of shells, and how long they last."""
