"""`nanodet-kp fit-scout` from a checkout."""

from _checkout import run

run("fit_scout")
