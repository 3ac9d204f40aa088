"""Measuring detections against labels."""
