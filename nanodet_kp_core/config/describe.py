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
    layout = config.layout
    return ModelMetadata(
        class_names=layout.class_names,
        strides=config.model.arch.head.strides,
        input=InputSpec(
            width=size[0],
            height=size[1],
            resize="letterbox" if config.data.val.keep_ratio else "stretch",
        ),
        class_layout=layout.class_layout,
        reg_max=layout.reg_max,
        corner_codec=layout.corner_codec,
        regression=layout.regression,
        prior_offset=layout.prior_offset,
        run_id=run_id,
        metrics=metrics or {},
    )
