"""File access: local files."""
