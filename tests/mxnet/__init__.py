"""The drop-in promise: MXNet's own tests, and what public scripts do, run with only the import swapped."""
