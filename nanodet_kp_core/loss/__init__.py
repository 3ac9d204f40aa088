"""Losses of the detector and the criterion that adds them up (torch)."""
