"""`nanodet-kp import-weights` from a checkout."""

from _checkout import run

run("import_weights")
