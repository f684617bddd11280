"""How the species of a liquid move, and what current they carry."""
