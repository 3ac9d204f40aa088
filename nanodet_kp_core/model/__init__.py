"""Networks: backbone, neck, heads and the codec between head channels and pixels (torch)."""
