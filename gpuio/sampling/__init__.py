"""Sampling: the order of records, sharding, and stateless random numbers."""
