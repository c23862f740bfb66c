"""Planning: the geometry and colors of a batch, determined before any image is decoded."""
