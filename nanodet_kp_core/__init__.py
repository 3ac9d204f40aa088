"""Four-corner NanoDet-Plus for armor plates; nothing in here imports ROS, and `runtime` imports no torch."""

__version__ = "0.1.0"
