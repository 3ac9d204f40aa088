"""`nanodet-kp calibrate-refiner` from a checkout."""

from _checkout import run

run("calibrate_refiner")
