"""`nanodet-kp view` from a checkout."""

from _checkout import run

run("view")
