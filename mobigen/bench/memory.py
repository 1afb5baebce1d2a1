"""Memory of this process, and the page cache that makes a second load faster than a first."""

import os
import sys
from pathlib import Path

__all__ = ["drop_from_cache", "peak_resident"]


def peak_resident() -> int | None:
    """The largest resident set of this process so far, in bytes; None where the system does not tell.

    Linux's getrusage would count the process that started this one, so its own page is read there.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def drop_from_cache(path: Path) -> bool:
    """Have the system forget a file, or all files of a folder, so that the next read comes from storage.

    Returns:
        Whether the system could be asked.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # pages that are not on disk yet would stay
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
    return True
