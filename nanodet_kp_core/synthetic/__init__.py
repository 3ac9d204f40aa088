"""Synthetic armor plates: rendered from geometry, labeled exactly, reproducible by seed. NumPy and OpenCV only."""
