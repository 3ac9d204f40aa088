"""`nanodet-kp train` from a checkout."""

from _checkout import run

run("train")
