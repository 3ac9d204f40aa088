"""`nanodet-kp train-bars` from a checkout."""

from _checkout import run

run("train_bars")
