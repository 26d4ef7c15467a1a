"""Where compiled kernels are kept between processes.

numba keeps them beside their sources, in `__pycache__`, or in the user's folder of caches; where it can write to neither (a
package that can only be read, and no home: containers, clusters) it would raise RuntimeError as a module is imported. `keep`
then names a folder among the temporary ones, which only this user can write to, since what is kept there is executed.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""Names a folder for kernels; set by whoever calls mho, it is left as it is."""


def keep() -> None:
    """Have numba keep kernels where that is possible: in VARIABLE, which is set where numba would find no place."""
    package = Path(__file__).parent
    if os.environ.get(VARIABLE) or _writable(package / "__pycache__") or _writable(_user_cache()):
        return
    folder = _private()
    os.environ[VARIABLE] = folder
    if (numba := sys.modules.get("numba")) is not None:
        numba.config.CACHE_DIR = folder


def _user_cache() -> Path:
    """Return the folder that numba takes for the user's (XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~").expanduser() / ".cache") / "numba"


def _writable(folder: Path) -> bool:
    """Return True if files can be written to a folder, or it can be made."""
    for each in (folder, *folder.parents):
        if os.path.lexists(each):
            return each.is_dir() and os.access(each, os.W_OK | os.X_OK)
    return False


def _private() -> str:
    """Return a folder for temporary files that only this user can write to: the same for each process, or else a new one."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"mho-kernels-{os.getuid() if hasattr(os, 'getuid') else os.getlogin()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if stat.S_ISDIR(status.st_mode) and mine and not status.st_mode & 0o022:
            return str(folder)
    except OSError:
        pass
    return tempfile.mkdtemp(prefix="mho-kernels-")
