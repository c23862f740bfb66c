"""Text files of numbers: read in blocks of whole lines, parsed block by block."""
