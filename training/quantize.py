"""`nanodet-kp quantize` from a checkout."""

from _checkout import run

if __name__ == "__main__":
    run("quantize")
