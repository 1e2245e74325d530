"""Our own service in a process of its own; it can be stopped and started again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.label_studio import POLL_SECONDS, answers, free_port
from tests.fakes.eventually import eventually

START_SECONDS = 300


@dataclass
class Backend:
    """The service with the demo model; `variables` are its settings."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "backend.log"

    @property
    def environment(self) -> dict[str, str]:
        """What the service's process gets, and what its other commands need to find the same."""
        return {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "MODEL": "demo",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        } | self.variables

    def start(self) -> None:
        """Starts it and waits until its model is loaded."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "label_studio_sam2", "serve"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        eventually(self._ready, START_SECONDS, every=POLL_SECONDS)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """As a crash or a power cut ends it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the command line with the same settings."""
        command = [sys.executable, "-m", "label_studio_sam2", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the backend has ended: {self.log.read_text()[-2000:]}"
        return answers(self.url + "/ready")
