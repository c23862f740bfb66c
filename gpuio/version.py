"""The version, in the one place that holds it."""

VERSION = "0.2.0"
