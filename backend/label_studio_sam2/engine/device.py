"""Which device the model runs on, with how many threads, in which precision, and what its errors mean."""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch

from label_studio_sam2.errors import DeviceFailed, NotReady, OutOfMemory, ServiceError
from label_studio_sam2.settings import hide_gpus

log = logging.getLogger(__name__)

NO_METAL = "Metal needs macOS 12.3 or later on Apple silicon, outside a container. Set DEVICE=auto."

NO_DRIVER = "no NVIDIA driver"
"""In what torch says where there is no GPU at all."""

ADVICE = {
    # What torch says, in part: what to do about it.
    "too old": "Update this machine's NVIDIA driver",
    "without CUDA": "Install a build of torch with CUDA",
    "": "Give the container a GPU (docker run --gpus all)",
}

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""The container's share of the CPU, as "quota period" in microseconds or "max period" (cgroup v2)."""

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Instructions that multiply bfloat16 natively; without them it is slower than float32."""

FULL = re.compile("out of memory|DefaultCPUAllocator|STATUS_ALLOC_FAILED")
BROKEN = re.compile("CUDA error|CUDA driver error|CUDNN_STATUS_|CUBLAS_STATUS_|CUSOLVER_STATUS_|NVRTC_ERROR")
"""What torch says of a device whose memory is full, and of one that failed."""

Capability = tuple[int, int]


class Seen(NamedTuple):
    """What torch sees of this machine: its NVIDIA GPUs by compute capability, the architectures that this torch is
    built for ("sm_75"; "compute_90" for all from there on), why there is no GPU, and whether there is Metal."""

    gpus: Sequence[Capability] = ()
    built_for: Sequence[str] = ()
    reason: str = ""
    metal: bool = False

    def no_cuda(self, index: int = 0) -> str:
        """Why this GPU can't be used, and what to do, in two sentences; empty where it can."""
        if not self.gpus:
            advice = next(one for said, one in ADVICE.items() if said in self.reason)
            return f"torch sees no NVIDIA GPU ({self.reason or 'and says no more'}). {advice}, or set DEVICE=cpu."
        if index >= len(self.gpus):
            last = len(self.gpus) - 1
            return f"the last GPU that torch sees is number {last}. Set DEVICE to cuda:{last} or less."
        known = sorted({capability for arch in self.built_for if (capability := _capability(arch))})
        if not known or any(_runs(self.gpus[index], arch) for arch in self.built_for):
            return ""
        return (
            f"GPU {index} has compute capability {_dotted(self.gpus[index])}, and this torch is built for "
            f"{', '.join(map(_dotted, known))}. Install a torch that is built for it too, or set DEVICE=cpu."
        )


def seen() -> Seen:
    """What torch sees here and now. A driver that is missing or too old is named as torch names it."""
    metal = torch.backends.mps.is_available()
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return Seen(reason="this torch is built without CUDA", metal=metal)
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        count = torch.cuda.device_count()
        gpus = [torch.cuda.get_device_capability(index) for index in range(count)]
    except (RuntimeError, AssertionError) as error:
        return Seen(reason=str(error).partition("\n")[0].partition(". ")[0].rstrip("."), metal=metal)
    return Seen(gpus, torch.cuda.get_arch_list(), metal=metal)


def choose(name: str, there: Seen | None = None) -> torch.device:
    """The device of that name, or for "auto" the best that is `there` (None: that torch sees). Raises NotReady.

    It also bounds torch's threads to the cores that this process may really use: torch counts the host's, and in a
    container with a quota the surplus threads only wait for each other. With "cpu" no GPU is touched, and convolutions
    in float32 on a GPU are in float32: cuDNN would round them to TF32, 1e-3 in the decoder's logits.
    """
    if name == "cpu":
        hide_gpus()
    else:
        name = _best(name, there or seen())
    torch.set_num_threads(min(torch.get_num_threads(), cores()))
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


def _best(name: str, there: Seen) -> str:
    chosen = torch.device("cuda" if name == "auto" else name)
    without = there.no_cuda(chosen.index or 0)
    if name == "auto":
        if not without:
            return "cuda"
        if there.gpus or (there.reason and NO_DRIVER not in there.reason):
            log.warning("DEVICE=auto doesn't use a GPU: %s", without)
        return "mps" if there.metal else "cpu"
    if chosen.type == "cuda" and without:
        raise NotReady(f"DEVICE={name}, but {without}")
    if chosen.type == "mps" and not there.metal:
        raise NotReady(f"DEVICE={name}, but torch sees no such device. {NO_METAL}")
    return name


def _capability(arch: str) -> Capability | None:
    """Of "sm_90a" (9, 0)."""
    found = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[a-z]?", arch)
    return (int(found[1]), int(found[2])) if found else None


def _dotted(capability: Capability) -> str:
    return ".".join(map(str, capability))


def _runs(gpu: Capability, arch: str) -> bool:
    """Machine code runs on later models of its own generation, intermediate code on all later ones."""
    built = _capability(arch)
    if built is None or built > gpu:
        return False
    return arch.startswith("compute_") or built[0] == gpu[0]


def encoder_dtype(device: torch.device, cpu_info: Path = CPU_INFO) -> torch.dtype | None:
    """The type that the image encoder, and on a GPU tracking, computes in under autocast, or None for float32.

    bfloat16 where the hardware multiplies it natively: 1.8 to 2.7 times faster on such CPUs. GPUs before Ampere (T4,
    V100) have float16 instead. The mask decoder always computes in float32: bfloat16 there costs 1e-2 in the logits.
    """
    if device.type == "cuda":
        return gpu_dtype(torch.cuda.get_device_capability(device))
    return torch.bfloat16 if device.type == "cpu" and BF16_FLAGS & _cpu_flags(cpu_info) else None


def gpu_dtype(capability: Capability) -> torch.dtype | None:
    """What a GPU's tensor cores multiply fastest without losing range, or where they can't, precision."""
    if capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else None


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


def named(error: BaseException) -> BaseException:
    """Out of memory as OutOfMemory, whereupon what the failed work held and what the allocator only keeps is given
    back; a failure of the device itself as DeviceFailed; any other error as it is."""
    if isinstance(error, ServiceError) or not isinstance(error, RuntimeError):
        return error
    said = str(error).partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or FULL.search(said):
        give_back(error)
        return _because_of(
            error,
            OutOfMemory(
                "The device's memory is full. Try again when less is going on, or choose a smaller MODEL or another "
                "DEVICE."
            ),
        )
    if isinstance(error, torch.AcceleratorError) or BROKEN.search(said):
        return _because_of(
            error,
            DeviceFailed(
                f"The GPU failed ({said}). If it goes on failing, restart the service; if that doesn't help, "
                "nvidia-smi and the kernel's log say more."
            ),
        )
    return error


def memory(device: torch.device) -> dict[str, int]:
    """Bytes of a GPU's memory: `used` by tensors, `held` by torch with what it keeps for the next ones, and `free` for
    whoever asks first; nothing of a CPU."""
    if device.type == "cuda":
        used, held = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        return {"used": used, "held": held, "free": torch.cuda.mem_get_info(device)[0]}
    if device.type == "mps":
        return {"used": torch.mps.current_allocated_memory(), "held": torch.mps.driver_allocated_memory()}
    return {}


def give_back(error: BaseException | None = None) -> None:
    """Memory that nothing uses any more: what the frames of an error hold, and what the allocator keeps."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _because_of(error: BaseException, named: ServiceError) -> ServiceError:
    named.__cause__ = error
    return named
