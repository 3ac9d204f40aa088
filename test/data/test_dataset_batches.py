"""EpochBatches: same images a step whatever the number of processes, and a resumed epoch goes on where it was."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.data.dataset import EpochBatches
from nanodet_kp_core.errors import DataError


def passes(length, batch, rank=0, world=1, epoch=0, skip=0, seed=3):
    sampler = EpochBatches(length, batch, seed, rank, world)
    sampler.set_epoch(epoch, skip)
    batches = list(sampler)
    assert len(sampler) == len(batches)
    return batches


@settings(max_examples=50, derandomize=True, deadline=None)
@given(length=st.integers(12, 60), batch=st.integers(1, 3), world=st.integers(1, 4), epoch=st.integers(0, 5))
def test_processes_share_the_steps_of_one(length, batch, world, epoch):
    parts = [passes(length, batch, rank, world, epoch) for rank in range(world)]
    joined = [list(itertools.chain(*step)) for step in zip(*parts, strict=True)]
    assert joined == passes(length, batch * world, epoch=epoch)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(length=st.integers(4, 60), batch=st.integers(1, 4), epoch=st.integers(0, 5), skip=st.integers(0, 70))
def test_skipped_steps_are_only_left_out(length, batch, epoch, skip):
    whole = passes(length, batch, epoch=epoch)
    assert passes(length, batch, epoch=epoch, skip=skip) == whole[skip:]
    pairs = [pair for step in whole for pair in step]
    assert len(set(pairs)) == len(pairs) == length // batch * batch  # no image twice, incomplete batch left out
    assert {e for e, _ in pairs} == {epoch}


def test_order_depends_on_seed_and_epoch():
    orders = [[i for step in passes(50, 5, epoch=e, seed=s) for _, i in step] for e, s in ((0, 3), (1, 3), (0, 4))]
    assert orders[0] != orders[1] and orders[0] != orders[2]
    assert [i for step in passes(50, 5) for _, i in step] == orders[0]


def test_too_few_pictures_for_a_step_are_one_sentence():
    with pytest.raises(DataError, match=r"at least 8 images.*got 7; lower device\.batchsize_per_gpu"):
        EpochBatches(7, 4, 0, 1, 2)
