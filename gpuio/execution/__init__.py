"""What runs plans: the host's threads or a DALI graph, and the assembly of batches."""
