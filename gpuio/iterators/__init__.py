"""What the iterators of `gpuio.io` and `gpuio.image` share."""
