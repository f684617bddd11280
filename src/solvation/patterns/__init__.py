"""What a liquid looks like beyond its shells: angles, scattering, vibrations, spatial densities."""
