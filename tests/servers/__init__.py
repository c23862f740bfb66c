"""Servers of remote files for tests. All listen on 127.0.0.1 only."""
