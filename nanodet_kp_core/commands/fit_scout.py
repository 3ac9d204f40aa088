"""Fit the weights by which the light-bar scout ranks its pairs, and print them.

    nanodet-kp fit-scout --images 500

Images are rendered, in other light too. The weights go into WEIGHTS of runtime/refinement/bar_pairs.py by hand: they
change which proposals every model gets, so look at the evaluation before and after.
"""

from __future__ import annotations

import argparse

from nanodet_kp_core.commands._sizes import size
from nanodet_kp_core.crops.lit_records import lit_records
from nanodet_kp_core.crops.scout_pairs import average_precision, pairs_of
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.numerics import logistic_weights
from nanodet_kp_core.runtime.refinement.bar_pairs import WEIGHTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500, help="number of rendered images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=950_000_000, help="seed of the first image (default: %(default)s)")
    parser.add_argument("--size", type=size, default=(640, 480), help="WIDTHxHEIGHT of the images (default: 640x480)")
    parser.add_argument(
        "--plate-px",
        type=float,
        nargs=2,
        default=(9.0, 200.0),
        metavar=("LEAST", "MOST"),
        help="widths of the plates, pixels (default: 9 200)",
    )
    args = parser.parse_args()
    if args.images < 1 or args.seed < 0:
        parser.error("--images must be positive, --seed not negative")
    records = lit_records(args.images, args.seed, args.size, tuple(args.plate_px))
    features, plates = pairs_of(record.load() for record in records)
    if not 0 < plates.sum() < len(plates):
        raise DataError(
            f"--images: expected pairs of both kinds, plates and others, got {plates.sum()} plates of {len(plates)}"
        )
    weights = logistic_weights(features, plates)
    print(f"{len(plates)} pairs, {int(plates.sum())} of them plates")
    print(f"average precision: {average_precision(features @ WEIGHTS, plates):.4f} with WEIGHTS of today")
    print(f"average precision: {average_precision(features @ weights, plates):.4f} with these:")
    print(f"WEIGHTS = np.array([{', '.join(f'{weight:.2f}' for weight in weights)}])")
    return 0
