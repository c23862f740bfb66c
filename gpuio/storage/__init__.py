"""Where files are: on this machine, mapped into memory."""
