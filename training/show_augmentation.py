"""`nanodet-kp show-augmentation` from a checkout."""

from _checkout import run

run("show_augmentation")
