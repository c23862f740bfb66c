"""Substitute for cupyx.scipy."""
