"""From an image to plates: preprocess, network, decode, NMS, regions of interest."""
