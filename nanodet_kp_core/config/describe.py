"""The metadata of a configured model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.runtime.models.metadata import InputSpec, ModelMetadata


def describe(
    config: TrainConfig, size: tuple[int, int], run_id: str = "", metrics: Mapping[str, Any] | None = None
) -> ModelMetadata:
    """Metadata for an input of `size` (width, height); normalisation is inside the graph."""
    return ModelMetadata(
        strides=config.model.arch.head.strides,
        input=InputSpec(
            width=size[0],
            height=size[1],
            resize="letterbox" if config.data.val.keep_ratio else "stretch",
        ),
        head=config.layout,
        run_id=run_id,
        metrics=metrics or {},
    )
