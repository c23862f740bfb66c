"""Loading: from sources of encoded images to batches made ahead of the caller."""
