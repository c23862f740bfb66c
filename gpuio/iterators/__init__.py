"""What the iterators of `gpuio.io` and `gpuio.image` share: batches and their descriptions, epochs
and saved states, parts, and how arguments are read.
"""
