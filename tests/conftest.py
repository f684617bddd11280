"""One thread for every test: bits repeat on one thread only, and small systems gain nothing from two."""

import os

# Before any test module loads a threaded library; the command and the workflow set their own.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
