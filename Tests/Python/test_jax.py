"""Batches in JAX, by DLPack. A run of its own (scripts/test-wheel): JAX keeps threads, and those do not go with forks."""
import numpy as np
import pytest

import pando

jax = pytest.importorskip("jax")


def test_jax_takes_batches_as_they_are_and_keeps_their_memory(sample):
    loader = pando.Loader(sample, 64, features="released", prefetch=1)
    expected = [(batch.features.copy(), batch.mask.copy()) for batch in loader.batches(0)]
    kept = []
    for batch in loader.batches(0):
        shared = jax.numpy.from_dlpack(batch.features), jax.numpy.from_dlpack(batch.mask)
        addresses = [values.__array_interface__["data"][0] for values in (batch.features, batch.mask)]
        assert [values.unsafe_buffer_pointer() for values in shared] == addresses
        kept.append(shared)
    del batch, shared
    for (features, mask), (others, there) in zip(kept, expected, strict=True):
        assert (np.asarray(features) == others).all() and (np.asarray(mask) == there).all()
    assert float(jax.jit(lambda values: values.sum())(kept[0][0])) == pytest.approx(float(expected[0][0].sum()), rel=1e-4)
