"""Decoding of images: reading their headers, and their pixels on the host or a GPU."""
