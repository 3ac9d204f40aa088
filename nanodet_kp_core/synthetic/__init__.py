"""Synthetic armor plates: rendered from geometry, labelled exactly, reproducible by seed. NumPy and OpenCV only."""
