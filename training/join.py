"""`nanodet-kp join` from a checkout."""

from _checkout import run

run("join")
