from __future__ import annotations

import os
import weakref
from pathlib import Path

import pytest
import torch
from label_studio_sam2.engine.device import Seen, choose, cores, encoder_dtype, gpu_dtype, named, seen
from label_studio_sam2.errors import DeviceFailed, NotReady, OutOfMemory
from label_studio_sam2.settings import Settings
from pydantic import ValidationError

CPU = torch.device("cpu")


OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver by ..."
)


@pytest.mark.parametrize(
    ("there", "best"),
    [
        (Seen([(8, 0)], ["sm_75", "sm_80"], metal=True), "cuda"),
        (Seen([(8, 6)], ["sm_75", "sm_80"]), "cuda"),  # machine code of the same generation
        (Seen([(12, 1)], ["sm_80", "compute_90"]), "cuda"),  # and intermediate code of an earlier one
        (Seen([(9, 0)], []), "cuda"),
        (Seen([(7, 0)], ["sm_75", "sm_80"]), "cpu"),
        (Seen([(8, 0)], ["sm_86", "sm_90a"]), "cpu"),
        (Seen(reason=OLD_DRIVER, metal=True), "mps"),
        (Seen(metal=True), "mps"),
        (Seen(), "cpu"),
    ],
)
def test_auto_is_the_best_device_that_is_there_and_that_this_torch_runs_on(there: Seen, best: str) -> None:
    assert choose("auto", there).type == best


@pytest.mark.parametrize(
    "there",
    [Seen([(7, 0)], ["sm_75"]), Seen(reason=OLD_DRIVER)],
    ids=["torch too new for it", "driver too old"],
)
def test_a_gpu_that_auto_leaves_unused_is_said_once(there: Seen, caplog: pytest.LogCaptureFixture) -> None:
    choose("auto", there)
    choose("auto", Seen(reason="Found no NVIDIA driver on your system"))
    (record,) = caplog.records
    assert "DEVICE=auto doesn't use a GPU" in record.getMessage()


def test_the_cpu_is_always_there_and_hides_gpus_from_libraries_that_take_one_unasked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert choose("cpu") == CPU
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""  # noqa: TID251  what it is told by
    assert torch.get_num_threads() <= cores()


@pytest.mark.parametrize(
    ("name", "there", "why"),
    [
        ("cuda", Seen(reason="Found no NVIDIA driver on your system"), "no NVIDIA driver.*docker run"),
        ("cuda", Seen(reason=OLD_DRIVER), "too old.*Update this machine's NVIDIA driver"),
        ("cuda", Seen(reason="this torch is built without CUDA"), "without CUDA.*a build of torch with CUDA"),
        ("cuda", Seen([(7, 0)], ["sm_75", "sm_80"]), "GPU 0 has compute capability 7.0.*7.5, 8.0.*Install"),
        ("cuda:1", Seen([(8, 0), (7, 0)], ["sm_80"]), "GPU 1 has compute capability 7.0"),
        ("cuda:2", Seen([(8, 0), (8, 0)], ["sm_80"]), "is number 1"),
        ("mps", Seen(), "Metal"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused_with_why_and_what_to_do(
    name: str, there: Seen, why: str
) -> None:
    with pytest.raises(NotReady, match=f"DEVICE={name}.*{why}.*[sS]et DEVICE"):
        choose(name, there)


def test_one_of_several_gpus_can_be_chosen() -> None:
    there = Seen([(7, 5), (9, 0)], ["sm_75", "sm_90"])
    assert choose("cuda:1", there) == torch.device("cuda", 1)
    assert Settings(device="cuda:1").device == "cuda:1"
    with pytest.raises(ValidationError, match="cuda:1 for the second GPU"):
        Settings(device="gpu")


def test_what_is_not_there_is_said_in_torchs_own_words() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    assert seen().gpus == ()
    assert seen().reason
    assert "." not in seen().reason


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), None)],
)
def test_gpus_before_ampere_compute_in_float16(
    capability: tuple[int, int], dtype: torch.dtype | None
) -> None:
    assert gpu_dtype(capability) == dtype


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), OutOfMemory),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), OutOfMemory),
        (torch.AcceleratorError("CUDA error: out of memory"), OutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), OutOfMemory),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), DeviceFailed),
        (RuntimeError("CUDA error: no kernel image is available for execution"), DeviceFailed),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceFailed),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
        (ValueError("out of memory"), ValueError),
    ],
)
def test_errors_of_the_device_are_named(error: Exception, kind: type[Exception]) -> None:
    found = named(error)
    assert type(found) is kind
    assert found is error or found.__cause__ is error


def test_out_of_memory_gives_back_what_the_failed_work_held() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def work() -> None:
        tensor = torch.zeros(8)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError(f"CUDA out of memory beside {tensor.shape}")

    try:
        work()
    except torch.OutOfMemoryError as error:
        raised = named(error)
    assert held[0]() is None
    assert raised.__cause__ is not None
    assert raised.__cause__.__traceback__ is not None  # for the log


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
