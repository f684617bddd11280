"""Machine-learned potentials: frames labelled by a level, models fitted to them, and how far to trust them."""
