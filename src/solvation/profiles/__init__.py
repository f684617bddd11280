"""What it costs in free energy to bring one more molecule to an ion, in a liquid: umbrella sampling and MBAR."""
