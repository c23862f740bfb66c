"""The drop-in promise: MXNet's own tests, and what public scripts do, only the import swapped."""
