"""Prepares each process that is started with this folder on its path."""

import nvidia_simulated

nvidia_simulated.install()
