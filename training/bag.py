"""`nanodet-kp bag` from a checkout."""

from _checkout import run

run("bag")
