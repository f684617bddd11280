"""What holds a complex together: binding and free energies, their corrections, and the analyses that explain them."""
