"""Encoded images: what their headers say, and how they become pixels."""
