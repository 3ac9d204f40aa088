"""ONNX files: what they say about themselves, and sessions that run them."""
