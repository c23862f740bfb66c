"""Execution of plans by threads on the host or a DALI graph, and the assembly of batches."""
