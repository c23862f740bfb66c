"""Text files of numbers: read in blocks of whole lines, parsed a block at a time."""
