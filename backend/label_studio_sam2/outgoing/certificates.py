"""Whose certificates are trusted: the system's and Mozilla's authorities, and those that the admin names."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import certifi

from label_studio_sam2.errors import SettingError

Named = tuple[tuple[str, str], ...]
"""Environment variables with the files, or the folders, that they name."""


@functools.cache
def tls_context(named: Named = ()) -> ssl.SSLContext:
    """What `named` holds is trusted besides the others. Raises SettingError where it can't be read."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for variable, path in named:
        _trust(context, variable, Path(path))
    return context


def private(named: Named) -> str:
    """The certificates that the variables' files (not folders) hold, as PEM. Raises SettingError."""
    return "\n".join(_read(variable, Path(path)) for variable, path in named if not Path(path).is_dir())


def _trust(context: ssl.SSLContext, variable: str, path: Path) -> None:
    if path.is_dir():
        context.load_verify_locations(capath=path)
        return
    content = _read(variable, path)
    try:
        if content:
            context.load_verify_locations(cadata=content)
    except ssl.SSLError as error:
        raise SettingError(
            f"{variable} names {path}, which holds no certificate. Give a file in PEM format (BEGIN CERTIFICATE)."
        ) from error


def _read(variable: str, path: Path) -> str:
    """Empty where there is nothing in it, as in /dev/null, which a compose file mounts where no file was named."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError as error:
        raise SettingError(
            f"{variable} names {path}, which can't be read ({error.strerror}). Correct it, or take it away."
        ) from error
