"""`nanodet-kp calibrate-refiner` from a checkout."""

from _checkout import run

if __name__ == "__main__":
    run("calibrate_refiner")
