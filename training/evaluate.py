"""`nanodet-kp evaluate` from a checkout."""

from _checkout import run

run("evaluate")
