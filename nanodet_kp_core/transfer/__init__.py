"""Weights of one head carried over to another: channels by what they mean, class rows by name."""
