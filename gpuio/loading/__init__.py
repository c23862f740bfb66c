"""From records to batches ahead of the caller: sources, loader, streams, threads."""
