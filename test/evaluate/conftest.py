"""Hand-made labels."""

from handmade import make_record, plate

__all__ = ["make_record", "plate"]  # fixtures
