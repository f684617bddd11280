"""Trajectories of any origin, frame by frame, with the pairs that are near each other."""
