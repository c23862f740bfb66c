"""What becomes of each image of a batch, decided before any is decoded."""
