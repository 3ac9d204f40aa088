"""Calibrated cameras, and plates in space."""
