"""`nanodet-kp synthesize` from a checkout."""

from _checkout import run

run("synthesize")
