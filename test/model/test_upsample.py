"""Doubling maps by matrices is what nn.Upsample does."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nanodet_kp_core.export.upsample import MatrixUpsample, with_matrices
from nanodet_kp_core.model.ghost_pan import GhostPAN
from nanodet_kp_core.model.published.pan import PAN


@given(batch=st.integers(1, 2), height=st.integers(1, 13), width=st.integers(1, 17), seed=st.integers(0, 99))
def test_products_with_matrices_double_as_bilinear_upsampling_does(batch, height, width, seed):
    maps = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))
    expected = nn.Upsample(scale_factor=2, mode="bilinear")(maps)
    assert MatrixUpsample()(maps).shape == expected.shape
    torch.testing.assert_close(MatrixUpsample()(maps), expected, rtol=1e-5, atol=1e-5)


def test_both_necks_are_exported_with_matrices():
    for neck in (GhostPAN((8, 16), 8, num_extra_level=0), PAN((8, 16), 8)):
        assert any(isinstance(module, MatrixUpsample) for module in with_matrices(neck).modules())


def test_only_bilinear_doubling_is_replaced_and_only_in_the_copy():
    model = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Sequential(nn.Upsample(scale_factor=4, mode="bilinear")),
    )
    copied = with_matrices(model)
    assert isinstance(copied[0], MatrixUpsample)
    assert isinstance(model[0], nn.Upsample)
    assert isinstance(copied[1], nn.Upsample) and isinstance(copied[2][0], nn.Upsample)
