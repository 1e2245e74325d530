from __future__ import annotations

from pathlib import Path

import pytest
import torch
from label_studio_sam2.engine.device import choose, cores, encoder_dtype
from label_studio_sam2.errors import NotReady

CPU = torch.device("cpu")


def test_auto_is_the_best_device_that_is_there() -> None:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    assert choose("auto").type == next(name for name in present if present[name])


def test_the_cpu_is_always_there() -> None:
    assert choose("cpu") == CPU
    assert torch.get_num_threads() <= cores()


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_what_to_do(name: str) -> None:
    if {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[name]:
        pytest.skip(f"{name} is there")
    with pytest.raises(NotReady, match=f"DEVICE={name}.*DEVICE=auto"):
        choose(name)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000", 2), ("10000 100000", 1), ("100000 100000", 1), ("max 100000", None), ("", None)],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, quota: str, expected: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    everything = cores(tmp_path / "missing")
    assert cores(file) == (everything if expected is None else min(expected, everything))


@pytest.mark.parametrize(
    ("cpu_info", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", torch.bfloat16),
        ("flags\t\t: fpu amx_bf16\n", torch.bfloat16),
        ("flags\t\t: fpu avx2 avx512f\n", None),
        ("Features\t: fp asimd bf16\n", None),
        ("", None),
    ],
)
def test_the_encoder_computes_in_bfloat16_where_the_cpu_multiplies_it_natively(
    tmp_path: Path, cpu_info: str, expected: torch.dtype | None
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(cpu_info)
    assert encoder_dtype(CPU, file) == expected
    assert encoder_dtype(CPU, tmp_path / "missing") is None
    assert encoder_dtype(torch.device("mps"), file) is None
