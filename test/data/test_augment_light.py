"""Light changes: colors keep their names, nothing moves, each strength is what the configuration says."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.data import photometric as light

# What a lit bar looks like, BGR: red and blue ones from dark to nearly white.
RED = [(30, 20, 180), (60, 40, 255), (150, 140, 255), (0, 0, 60), (90, 150, 255)]
BLUE = [(180, 30, 20), (255, 60, 40), (255, 190, 130), (60, 0, 0), (255, 150, 90)]
STRONG = PipelineConfig(
    brightness=0.1, contrast=(0.7, 1.3), saturation=(0.6, 1.4), hue=10, gamma=(0.7, 1.5), motion_blur=0.3, noise=6,
    jpeg=0.3, white_balance=(0.9, 1.1),
)  # fmt: skip


def plain(color, size=(32, 32)):
    return np.full((*size[::-1], 3), color, np.uint8)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.integers(0, 4))
def test_red_stays_red_and_blue_stays_blue(seed, which):
    for colors, channel in ((RED, 2), (BLUE, 0)):
        changed = light.change_light(np.random.default_rng(seed), plain(colors[which]), STRONG)
        mean = changed.reshape(-1, 3).mean(axis=0)
        assert mean[channel] >= mean.max() - 1e-9  # equal where the image is white or black
        if 12 < mean.max() < 250:
            assert mean[channel] > np.delete(mean, channel).max() + 1


@settings(max_examples=40, derandomize=True, deadline=None)
@given(degrees=st.floats(-10, 10), level=st.integers(60, 255), hue=st.integers(0, 359))
def test_the_hue_turns_by_about_its_degrees(degrees, level, hue):
    color = cv2.cvtColor(np.float32([[[hue, 0.5, level]]]), cv2.COLOR_HSV2BGR)
    turned = cv2.transform(color, light.color_matrix(1.0, degrees).astype(np.float32))
    found = cv2.cvtColor(turned, cv2.COLOR_BGR2HSV)[0, 0, 0]
    difference = abs((found - hue + 180) % 360 - 180)
    # A rotation about the gray axis and the hexagon of HSV differ by a few degrees at most.
    assert abs(difference - abs(degrees)) < 0.25 * abs(degrees) + 0.1


def test_grays_have_no_hue_and_no_saturation():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    changed = cv2.transform(ramp, light.color_matrix(1.7, 8.0))
    assert np.abs(changed.astype(int) - ramp).max() <= 1


def test_saturation_zero_is_the_gray_of_the_same_luma():
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None]
    assert np.abs(cv2.transform(picture, light.color_matrix(0.0, 0.0)).astype(int) - gray).max() <= 1


def test_white_balance_multiplies_blue_and_red_each_by_its_own_factor():
    picture, factors = plain((100, 100, 100)), []
    for seed in range(60):
        blue, green, red = light.change_light(
            np.random.default_rng(seed), picture, PipelineConfig(white_balance=(0.8, 1.25))
        )[0, 0].tolist()
        assert green == 100 and min(blue, red) >= 80 and max(blue, red) <= 125
        if (blue, red) != (100, 100):
            factors.append((blue, red))
    factors = np.array(factors)
    assert factors.min() < 85 and factors.max() > 118
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.5


def test_tones_are_published_ones_and_gamma():
    assert np.array_equal(light.tone_table(1.0, 0.0, 1.0), np.arange(256))
    level = np.arange(256) / 255
    assert np.allclose(light.tone_table(1, 0.1, 1.2), np.clip(255 * 1.2 * (level + 0.1), 0, 255), atol=1)
    assert np.allclose(light.tone_table(1, -0.1, 0.8), np.clip(255 * 0.8 * (level - 0.1), 0, 255), atol=1)
    assert light.tone_table(2.2, 0, 1)[128] < 64 < 180 < light.tone_table(0.45, 0, 1)[128]
    assert light.tone_table(2.2, 0, 1)[[0, 255]].tolist() == [0, 255]


@pytest.mark.parametrize("sigma", [1.5, 6.0])
def test_noise_has_its_sigma_and_no_mean(sigma):
    noisy = light.add_noise(np.random.default_rng(0), plain(128, (100, 100)), sigma).astype(float) - 128
    assert abs(noisy.std() - sigma) < 0.06 * sigma + 0.05  # rounding to whole levels adds 1/12
    assert abs(noisy.mean()) < 0.05
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 2].ravel())[0, 1]) < 0.04


@settings(max_examples=40, derandomize=True, deadline=None)
@given(length=st.floats(2, 12), degrees=st.floats(0, 180))
def test_motion_blur_spreads_along_its_direction_and_moves_nothing(length, degrees):
    picture = np.zeros((41, 41, 3), np.float32)
    picture[20, 20] = 255
    blurred = light.blur_along(picture, length, degrees)[..., 0]
    y, x = np.mgrid[0:41, 0:41]
    weight = blurred / blurred.sum()
    assert abs((weight * x).sum() - 20) < 1e-3 and abs((weight * y).sum() - 20) < 1e-3
    direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    along, across = (x - 20) * direction[0] + (y - 20) * direction[1], (y - 20) * direction[0] - (x - 20) * direction[1]
    # A line of even weight has variance length^2 / 12; sharing among four pixels adds a quarter at most.
    assert abs((weight * along**2).sum() - length**2 / 12) < 0.3
    assert (weight * across**2).sum() < 0.3
    assert abs(blurred.sum() - 255) < 0.1


def test_bytes_stay_bytes_and_the_input_stays():
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    before = picture.copy()
    outcomes = [light.change_light(np.random.default_rng(seed), picture, STRONG) for seed in range(30)]
    assert all(o.dtype == np.uint8 and o.shape == picture.shape for o in outcomes)
    assert np.array_equal(picture, before)
    assert np.array_equal(outcomes[3], light.change_light(np.random.default_rng(3), picture, STRONG))


def test_nothing_configured_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    for seed in range(10):
        assert light.change_light(np.random.default_rng(seed), picture, PipelineConfig()) is picture


@pytest.mark.parametrize(
    ("pipeline", "share"),
    [
        (PipelineConfig(hue=10), 0.5),
        (PipelineConfig(gamma=(0.5, 0.8)), 0.5),
        (PipelineConfig(white_balance=(1.2, 1.4)), 0.75),
        (PipelineConfig(noise=8), 0.5),
        (PipelineConfig(motion_blur=0.2), 0.2),
        (PipelineConfig(jpeg=0.8), 0.8),
    ],
)
def test_how_often(pipeline, share):
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8), (0, 0), 1)
    changed = [light.change_light(np.random.default_rng(s), picture, pipeline) is not picture for s in range(200)]
    assert abs(np.mean(changed) - share) < 0.12
