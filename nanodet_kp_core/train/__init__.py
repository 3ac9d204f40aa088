"""Training: loop, learning rate, weight average, checkpoints."""
