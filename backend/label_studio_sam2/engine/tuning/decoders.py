"""A tuned decoder as it is stored, and read back: work for the device."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from label_studio_sam2.engine.model import Model, is_taught


def halved(decoder: nn.Module, by_label: Sequence[nn.Module] = ()) -> dict[str, Tensor]:
    """What was taught, in fp16, on the host; of labels' decoders under their place and a slash."""
    parts = [("", decoder), *((f"{place}/", own) for place, own in enumerate(by_label))]
    return {
        prefix + name: tensor.half().cpu()
        for prefix, part in parts
        for name, tensor in part.state_dict().items()
        if is_taught(name)
    }


def taught(base: Model, stored: Mapping[str, Tensor], part: str = "") -> nn.Module:
    """The base's decoder with what is stored, under this prefix. What isn't taught is the base's own: an older version
    may hold it, rounded. Raises KeyError and RuntimeError where something is missing or of another shape."""
    decoder: nn.Module = copy.deepcopy(base.decoder)
    read = {name: stored[part + name].float() for name in decoder.state_dict() if is_taught(name)}
    decoder.load_state_dict(base.decoder.state_dict() | read)
    return decoder.eval().requires_grad_(False)
