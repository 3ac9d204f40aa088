"""`nanodet-kp check` from a checkout."""

from _checkout import run

run("check")
