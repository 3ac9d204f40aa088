"""Crops that the second stage learns from."""
