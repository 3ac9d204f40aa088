"""`nanodet-kp quantize` from a checkout."""

from _checkout import run

run("quantize")
