"""`nanodet-kp show-augmentation` from a checkout."""

from _checkout import run

if __name__ == "__main__":
    run("show_augmentation")
