"""`nanodet-kp convert` from a checkout."""

from _checkout import run

run("convert")
