# SPDX-License-Identifier: MIT
"""What is expensive to make (roots, kernels, disk images) is made once and kept under the cache
directory, NAME-KEY, where KEY is a hash of all that it is made from: another list of packages is
another key. What was made from an older recipe is removed."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import time

from .host import cache_directory


def key_of(*ingredients):
    digest = hashlib.sha256()
    for part in ingredients:
        digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _lock(path):
    with open(path, "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def provide(name, ingredients, make):
    """The directory NAME-KEY; make(directory) fills it when it is not there. It is there whole or
    not at all, also when two runs want it at once or one is killed."""
    cache = cache_directory()
    final = cache / f"{name}-{key_of(*ingredients)}"
    if final.is_dir():
        return final
    with _lock(cache / f"{name}.lock"):
        if final.is_dir():
            return final
        started = time.monotonic()
        print(f"Making {name} …", file=sys.stderr, flush=True)
        part = cache / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            make(part)
            for old in cache.glob(f"{name}-" + "[0-9a-f]" * 16):
                shutil.rmtree(old, ignore_errors=True)
            os.rename(part, final)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        print(f"Made {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return final
