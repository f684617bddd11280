"""Which donor holds an ion, how strongly, and whether the liquid agrees."""
