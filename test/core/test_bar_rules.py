"""The rules of a plate's build: bars far enough apart, and each bar in one plate only."""

import numpy as np

from nanodet_kp_core.runtime.refinement.bar_rules import (
    DEEPEST,
    LEAST_GAP,
    are_reflections,
    new_pairs,
    possible_plates,
    share_a_bar,
)

PLATE = np.array([[0, 0], [0, 20], [48, 20], [48, 0]], np.float32)
SIZE = (640, 480)
NONE = np.zeros((0, 4, 2), np.float32)


def between(first, second):
    """What the right bar of one plate and the left bar of another enclose."""
    return np.stack([first[3], first[2], second[1], second[0]])


def test_bars_too_near_to_each_other_are_no_plate():
    narrow = PLATE * ((LEAST_GAP - 0.05) * 20 / 48, 1)
    steep = PLATE * ((LEAST_GAP + 0.05) * 20 / 48, 1) + (100, 0)
    assert possible_plates(np.stack([narrow, steep]), SIZE).tolist() == [1]


def test_a_bar_belongs_to_the_better_plate():
    right = PLATE + (70, 0)
    middle = between(PLATE, right) + 1
    assert possible_plates(np.stack([PLATE, right, middle]), SIZE).tolist() == [0, 1]
    # Both others have a bar of the best one.
    assert possible_plates(np.stack([middle, PLATE, right]), SIZE).tolist() == [0]


def test_a_plate_that_lost_takes_no_bar_from_others():
    right, far = PLATE + (70, 0), PLATE + (140, 0)
    chain = np.stack([PLATE, between(PLATE, right), between(right, far), far])
    # The second loses to the first; so its other bar is free, and the fourth takes the third's.
    assert possible_plates(chain, SIZE).tolist() == [0, 2]


def test_neighboring_plates_of_one_robot_both_stay():
    neighbor = PLATE * (0.6, 1) + (48 + 0.45 * 20, 0)
    assert possible_plates(np.stack([PLATE, neighbor]), SIZE).tolist() == [0, 1]


def test_the_center_of_a_plate_lies_in_the_image():
    """Half of the plate may lie beyond each border, and no more; a plate outside takes no bar from one inside."""
    width, height = SIZE
    for step, start in (
        ((1, 0), (-24, 50)),
        ((-1, 0), (width - 25, 50)),
        ((0, 1), (50, -10)),
        ((0, -1), (50, height - 11)),
    ):
        inside, outside = PLATE + start + step, PLATE + start - np.array(step) * 2
        assert possible_plates(np.stack([outside, inside]), SIZE).tolist() == [1]


LEANING = PLATE + ((3, -4), (3, 2), (-2, 8), (-2, 2))
LENGTH = 26


def mirrored(corners, floor):
    """What a floor shows of a plate that hangs above it: upside down."""
    return corners[[1, 0, 3, 2]] * (1, -1) + (0, 2 * floor)


def reflected(*plates, nameless=(False, True), colors=(1, 1)):
    return are_reflections(np.stack(plates), np.array(nameless), np.array(colors)).tolist()


def test_what_a_floor_mirrors_is_no_plate():
    for floor in (30, 50, 100):
        assert reflected(LEANING, mirrored(LEANING, floor)) == [False, True]


def test_a_plate_below_another_one_is_no_reflection_unless_all_fits():
    below = mirrored(LEANING, 50)
    assert reflected(LEANING, below, nameless=(False, False)) == [False, False], "its number can be read"
    assert reflected(LEANING, below, colors=(1, 0)) == [False, False]
    assert reflected(below, LEANING, nameless=(True, True)) == [False, False], "what is mirrored scores higher"
    assert reflected(LEANING, LEANING + (0, 80)) == [False, False], "it leans the same way"
    assert reflected(LEANING, below + (10, 0)) == [False, False], "it is not straight below"
    assert reflected(LEANING, (below - below.mean(0)) * 1.25 + below.mean(0)) == [False, False], "it is larger"
    deep = mirrored(LEANING, LEANING[:, 1].mean() + (DEEPEST + 1) * LENGTH / 2)
    assert reflected(LEANING, deep) == [False, False], "it is too far below"


def test_nothing_to_judge():
    assert possible_plates(NONE, SIZE).tolist() == []
    assert possible_plates(PLATE[None], SIZE).tolist() == [0]
    assert len(new_pairs(NONE, PLATE[None], np.ones(1))) == 0
    assert np.array_equal(new_pairs(PLATE[None], NONE, np.ones(0)), PLATE[None])


def test_what_overlaps_a_proposal_or_has_the_bar_of_a_clear_one_is_claimed():
    far, middle = PLATE + 200, between(PLATE, PLATE + (70, 0))
    pairs = np.stack([PLATE + 3, far, middle])
    assert np.array_equal(new_pairs(pairs, PLATE[None], np.array([0.9])), far[None])
    assert np.array_equal(new_pairs(pairs, PLATE[None], np.array([0.3])), pairs[1:])


def test_who_shares_a_bar():
    right = PLATE + (70, 0)
    middle = between(PLATE, right)
    assert share_a_bar(np.stack([PLATE, middle]), np.stack([PLATE + 1, right, PLATE + 300]), 0.3).tolist() == [
        [True, False, False],
        [True, True, False],
    ]
    assert share_a_bar(NONE, PLATE[None], 0.3).shape == (0, 1)
