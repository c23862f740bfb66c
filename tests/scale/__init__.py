"""Tests of what needs Ray, Lightning, Accelerate or several processes: `make test-scale`."""
