# SPDX-License-Identifier: MIT
# Installs packages: of the index at micropython.org, of a repository ("github:org/repo"), of any server
# ("http://host/package.json"), or a single file ("http://host/module.py"). MicroPython's "Package management" says
# what a package.json has. A file takes the place of an older one when it is there as a whole.
import os
import sys

import requests

_PACKAGE_INDEX = "https://micropython.org/pi/v2"
_REPOSITORIES = {  # organisation, repository, branch, path
    "github:": "https://raw.githubusercontent.com/%s/%s/%s/%s",
    "gitlab:": "https://gitlab.com/%s/%s/-/raw/%s/%s",
}
_SCHEMES = ("http:", "https:") + tuple(_REPOSITORIES)
_CHUNK_SIZE = 4096


def _is_url(name):
    return name.split(":", 1)[0] + ":" in _SCHEMES


def _rewrite_url(url, branch):
    for prefix, form in _REPOSITORIES.items():
        if url.startswith(prefix):
            organisation, repository, *path = url[len(prefix) :].split("/")
            return form % (organisation, repository, branch or "HEAD", "/".join(path))
    return url


def _get(url):
    response = requests.get(url)
    if response.status_code == 200:
        return response
    response.close()
    print("Error", response.status_code, "requesting", url)
    return None


# Calls write() with each part. How many bytes there were, and their SHA-256 in hexadecimal digits.
def _copy(stream, write):
    import binascii
    import hashlib

    digest, size = hashlib.sha256(), 0
    buf = memoryview(bytearray(_CHUNK_SIZE))
    while n := stream.readinto(buf):
        digest.update(buf[:n])
        write(buf[:n])
        size += n
    return size, str(binascii.hexlify(digest.digest()), "ascii")


def _is_there(path, short_hash):
    try:
        with open(path, "rb") as f:
            return _copy(f, lambda part: None)[1].startswith(short_hash)
    except OSError:
        return False


def _make_directories(path):
    for i in range(1, len(path)):
        if path[i] == "/":
            try:
                os.mkdir(path[:i])
            except OSError:
                os.stat(path[:i])  # it is there, or says why not


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _download(url, path, short_hash=""):
    response = _get(url)
    if not response:
        return False
    part = path + ".part"
    try:
        print("Copying:", path)
        _make_directories(path)
        with open(part, "wb") as f:
            size, digest = _copy(response.raw, f.write)
        whole = {k.lower(): v for k, v in response.headers.items()}.get("content-length", str(size))
        if str(size) != whole:
            print("Ended after", size, "of", whole, "bytes:", url)
        elif not digest.startswith(short_hash):
            print("Not what the index says it is:", url)
        else:
            os.rename(part, path)
            return True
        _remove(part)
        return False
    except BaseException:
        _remove(part)
        raise
    finally:
        response.close()


def _install_json(url, index, target, version, mpy):
    response = _get(_rewrite_url(url, version))
    if not response:
        print("Package not found:", url)
        return False
    try:
        package = response.json()
    finally:
        response.close()
    for name, short_hash in package.get("hashes", ()):
        path = target + "/" + name
        if _is_there(path, short_hash):
            print("Exists:", path)
        elif not _download("%s/file/%s/%s" % (index, short_hash[:2], short_hash), path, short_hash):
            print("File not found:", name, short_hash)
            return False
    for name, source in package.get("urls", ()):
        if not _is_url(source):  # relative to where package.json is
            source = url.rsplit("/", 1)[0] + "/" + source
        if not _download(_rewrite_url(source, version), target + "/" + name):
            print("File not found:", name, source)
            return False
    return all(_install(name, index, target, v, mpy) for name, v in package.get("deps", ()))


def _install(package, index, target, version, mpy):
    if not _is_url(package):
        version = version or "latest"
        print("Installing %s (%s) from %s to %s" % (package, version, index, target))
        form = sys.implementation._mpy & 0xFF if mpy else "py"
        return _install_json("%s/package/%s/%s/%s.json" % (index, form, package, version), index, target, version, mpy)
    if package.endswith(".py") or package.endswith(".mpy"):
        print("Downloading %s to %s" % (package, target))
        return _download(_rewrite_url(package, version), target + "/" + package.rsplit("/", 1)[1])
    if not package.endswith(".json"):
        package = package.rstrip("/") + "/package.json"
    print("Installing %s to %s" % (package, target))
    return _install_json(package, index, target, version, mpy)


# version: of a package, or a repository's branch or tag. mpy: compiled, where the index has both.
def install(package, index=None, target=None, version=None, mpy=True):
    if not target:
        for target in sys.path:
            if target.endswith("/lib") and not target.startswith("/rom"):
                break
        else:
            print("Unable to find lib dir in sys.path")
            return
    if _install(package, (index or _PACKAGE_INDEX).rstrip("/"), target, version, mpy):
        print("Done")
    else:
        print("Package may be partially installed")
