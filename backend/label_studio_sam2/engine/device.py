"""Which device the model runs on, with how many threads, and in which precision the encoder computes."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

import torch

from label_studio_sam2.errors import NotReady

ADVICE = {
    "cuda": "Give the container a GPU (docker run --gpus all) and torch a CUDA build, or set DEVICE=auto.",
    "mps": "Metal needs macOS 12.3 or later on Apple silicon, outside a container. Set DEVICE=auto.",
}

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""The container's share of the CPU, as "quota period" in microseconds or "max period" (cgroup v2)."""

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Instructions that multiply bfloat16 natively; without them it is slower than float32."""


def choose(name: str) -> torch.device:
    """The device of that name, or the best there is for "auto". Raises NotReady where it isn't there.

    On the CPU it also bounds torch's threads to the cores that this process may really use: torch counts the
    host's, and in a container with a quota the surplus threads only wait for each other.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(candidate for candidate, there in present.items() if there)
    if not present[name]:
        raise NotReady(f"DEVICE={name}, but torch sees no such device. {ADVICE[name]}")
    if name == "cpu":
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
    return torch.device(name)


def encoder_dtype(device: torch.device, cpu_info: Path = CPU_INFO) -> torch.dtype | None:
    """The type that the image encoder computes in under autocast, or None for float32.

    bfloat16 where the hardware multiplies it natively: 1.8 to 2.7 times faster on such CPUs. The mask decoder
    always computes in float32: bfloat16 there costs 1e-2 in the logits.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else None
    return torch.bfloat16 if device.type == "cpu" and BF16_FLAGS & _cpu_flags(cpu_info) else None


def cores(quota: Path = CPU_QUOTA) -> int:
    """How many cores this process may use: its affinity, and the container's quota where there is one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return max(1, min(allowed, ceil(int(share) / int(period))))
    except (OSError, ValueError):  # no such file outside a container; "max" where there is no quota
        return allowed


def _cpu_flags(cpu_info: Path) -> set[str]:
    if not cpu_info.is_file():
        return set()
    lines = cpu_info.read_text().splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
