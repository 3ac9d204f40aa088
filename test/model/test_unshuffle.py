"""The exported graph's ShuffleNetV2: the same maps without a shuffle."""

import pytest
import torch
from torch import nn

from nanodet_kp_core.export.unshuffle import RoutedStage, without_shuffles
from nanodet_kp_core.model.shufflenet import ShuffleNetV2


@pytest.mark.parametrize("size", ["0.5x", "1.0x", "1.5x"])
def test_the_same_maps(size):
    torch.manual_seed(0)
    model = ShuffleNetV2(size).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # each channel its own, so that a wrong one is seen
            nn.init.normal_(module.bias)
            nn.init.uniform_(module.running_var, 0.5, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    routed = without_shuffles(model)
    assert sum(isinstance(module, RoutedStage) for module in routed.modules()) == 3
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for wanted, found in zip(model(images), routed(images), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_what_has_no_shuffles_stays():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Sequential())
    names = [name for name, _ in model.named_modules()]
    assert [name for name, _ in without_shuffles(model).named_modules()] == names
