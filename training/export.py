"""`nanodet-kp export` from a checkout."""

from _checkout import run

run("export")
