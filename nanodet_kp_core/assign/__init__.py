"""Label assignment: which prior learns which plate (torch)."""
