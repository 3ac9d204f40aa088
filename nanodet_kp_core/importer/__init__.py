"""Published checkpoints of NanoDet, NanoDet-Plus and the four-point fork become checkpoints of this package."""
