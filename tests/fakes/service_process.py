"""`label-studio-sam2 serve` as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import label_studio_sam2

from tests.fakes.eventually import eventually


@contextmanager
def serving(**environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`label-studio-sam2 serve` as a process of its own, once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "label_studio_sam2", "serve", "--port", str(port), "--host", "127.0.0.1"]
    tested = {"PYTHONPATH": str(Path(label_studio_sam2.__file__).parents[1])}
    process = subprocess.Popen(command, env={"MODEL": "demo", "DEVICE": "cpu", **tested, **environment})
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(address + "/ready"), seconds=90)
        yield address, process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
