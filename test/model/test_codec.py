"""The codec between head channels and pixels: what goes in comes out, and where it cannot."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import tiny_metadata

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.codec import HeadCodec, bbox2distance, distance2bbox, prior_tensor
from nanodet_kp_core.runtime.detection.decode import decode

CLASSES = ("a", "b")
PRIOR = torch.tensor([[48.0, 80.0, 16.0, 16.0]])


def make_codec(corner_codec: str, reg_max: int = 7) -> HeadCodec:
    return HeadCodec(HeadLayout(CLASSES, "joint", reg_max, corner_codec))


def two_bin_logits(target_bins: torch.Tensor, num_bins: int) -> torch.Tensor:
    """Logits [K * num_bins] whose expectations are the targets [K], each on the two bins around it."""
    left = target_bins.floor().long()
    share = target_bins - left
    probability = torch.full((len(target_bins), num_bins), 1e-12)
    index = torch.arange(len(target_bins))
    probability[index, left] += 1 - share
    probability[index, left + 1] += share
    return probability.log().flatten()


def raw_output(codec: HeadCodec, boxes: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """Raw channels [1, C] at PRIOR of a head that predicts the targets perfectly."""
    box = two_bin_logits(codec.box_bins(PRIOR, boxes)[0], codec.layout.box_bins)
    corner = two_bin_logits(codec.corner_bins(PRIOR, corners)[0], codec.layout.corner_bins)
    return torch.cat((torch.zeros(len(CLASSES)), box, corner))[None]


strides_in_reach = st.floats(-6.8, 6.8)


@settings(deadline=None)
@given(st.lists(strides_in_reach, min_size=8, max_size=8), st.lists(st.floats(0, 6.8), min_size=4, max_size=4))
def test_signed_codec_gives_back_any_corner_in_reach(offsets, sides):
    codec = make_codec("signed")
    corners = PRIOR[:, :2].repeat(1, 4) + 16 * torch.tensor([offsets])
    boxes = distance2bbox(PRIOR[:, :2], 16 * torch.tensor([sides]))
    decoded = codec.decode(raw_output(codec, boxes, corners), PRIOR)
    torch.testing.assert_close(decoded.corners, corners, atol=2e-3, rtol=0)
    torch.testing.assert_close(decoded.boxes, boxes, atol=2e-3, rtol=0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 6.8), min_size=8, max_size=8))
def test_unsigned_codec_gives_back_corners_on_their_own_side(distances):
    codec = make_codec("unsigned")
    corners = PRIOR[:, :2].repeat(1, 4) + 16 * codec.corner_signs * torch.tensor([distances])
    decoded = codec.decode(raw_output(codec, torch.tensor([[40.0, 70, 60, 90]]), corners), PRIOR)
    torch.testing.assert_close(decoded.corners, corners, atol=2e-3, rtol=0)


@settings(deadline=None)
@given(st.integers(0, 7), st.floats(0.01, 6.8))
def test_unsigned_codec_clamps_a_corner_on_the_other_side_to_the_prior(coordinate, distance):
    """The documented limit of the published codec: it ends at the prior; the signed one gets there."""
    results = {}
    for name in ("unsigned", "signed"):
        codec = make_codec(name)
        corners = PRIOR[:, :2].repeat(1, 4)
        signs = make_codec("unsigned").corner_signs
        corners[0, coordinate] -= 16 * distance * signs[coordinate]
        decoded = codec.decode(raw_output(codec, torch.tensor([[40.0, 70, 60, 90]]), corners), PRIOR)
        results[name] = (decoded.corners - corners)[0, coordinate].abs().item()
    assert results["unsigned"] == pytest.approx(16 * distance, abs=2e-3)
    assert results["signed"] < 2e-3


@pytest.mark.parametrize("corner_codec", ["signed", "unsigned"])
def test_targets_out_of_reach_stay_on_the_bin_axis(corner_codec):
    codec = make_codec(corner_codec)
    corners = torch.tensor([[-9e3, 9e3, -9e3, 9e3, 9e3, -9e3, 9e3, -9e3]])
    bins = codec.corner_bins(PRIOR, corners)
    assert bins.min() >= 0
    # DFL reads the bin to the right of the target.
    assert bins.max() < codec.layout.corner_bins - 1
    assert codec.box_bins(PRIOR, torch.tensor([[500.0, 500, -500, -500]])).tolist() == [[0.0] * 4]


def test_boxes_and_distances_are_inverse():
    points = torch.rand(50, 2) * 300
    boxes = torch.cat((points - torch.rand(50, 2) * 40, points + torch.rand(50, 2) * 40), dim=1)
    torch.testing.assert_close(distance2bbox(points, bbox2distance(points, boxes)), boxes)


def test_priors_start_at_the_origin_and_round_odd_sizes_up():
    priors = prior_tensor(33, 64, (16, 32))
    assert len(priors) == 3 * 4 + 2 * 2
    assert priors[0].tolist() == [0, 0, 16, 16]
    assert priors[5].tolist() == [16, 16, 16, 16]
    assert priors[-1].tolist() == [32, 32, 32, 32]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.3, 3.0, 30.0]),
    codec=st.sampled_from(
        [("signed", "distribution"), ("unsigned", "distribution"), ("none", "distribution")]
        + [("signed", "direct"), ("none", "direct")]
    ),
    offset=st.sampled_from([0.0, 0.5]),
)
def test_torch_and_numpy_decode_the_same(seed, spread, codec, offset):
    """Training and robot must not disagree about what the channels mean."""
    corner_codec, regression = codec
    metadata = tiny_metadata(48, 40, CLASSES, corner_codec=corner_codec, regression=regression, prior_offset=offset)
    layout = metadata.head
    priors = prior_tensor(40, 48, metadata.strides, offset=offset)
    raw = spread * torch.randn(len(priors), layout.num_channels, generator=torch.Generator().manual_seed(seed))
    decoded, found = HeadCodec(layout).decode(raw, priors), decode(raw.numpy(), metadata, 0.0)
    assert len(found.scores) == len(priors)
    # exp multiplies its rounding: the tolerance is relative there.
    torch.testing.assert_close(decoded.boxes, torch.from_numpy(found.boxes), atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(decoded.corners.reshape(-1, 4, 2), torch.from_numpy(found.corners), atol=1e-3, rtol=1e-5)


def test_direct_regression_far_out_keeps_finite_gradients():
    codec = HeadCodec(HeadLayout(CLASSES, regression="direct"))
    raw = torch.full((1, codec.layout.num_channels), 1e30, requires_grad=True)
    decoded = codec.decode(raw, PRIOR)
    (decoded.boxes.sum() + decoded.corners.sum()).backward()
    assert decoded.boxes.isfinite().all()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_priors_of_cell_centers():
    priors = prior_tensor(32, 64, (16, 32), offset=0.5)
    assert priors[0].tolist() == [8, 8, 16, 16]
    assert priors[-1].tolist() == [48, 16, 32, 32]
