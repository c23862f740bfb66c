"""File access: local files, mapped into memory."""
