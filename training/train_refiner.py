"""`nanodet-kp train-refiner` from a checkout."""

from _checkout import run

run("train_refiner")
