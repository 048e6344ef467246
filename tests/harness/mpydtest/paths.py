# SPDX-License-Identifier: MIT
"""Where the build's programs are, and how patient a test is."""
import functools
import json
import os
import pathlib

HERE = pathlib.Path(__file__).resolve()
SOURCE = pathlib.Path(os.environ.get("MPYD_SOURCE_DIR") or HERE.parents[3])
BUILD = pathlib.Path(os.environ.get("MPYD_BUILD_DIR") or SOURCE / "build")
SCALE = float(os.environ.get("MPYD_TEST_TIMEOUT_SCALE") or 1)


@functools.cache
def build_options():
    """The build's own answers: option name → value."""
    text = (BUILD / "meson-info/intro-buildoptions.json").read_text()
    return {option["name"]: option["value"] for option in json.loads(text)}


def is_sanitized():
    """Built with the address sanitizer, which keeps freed memory and makes everything slower."""
    value = build_options()["b_sanitize"]
    return "address" in value  # a string up to Meson 1.8, a list since


def timeout(seconds):
    """A deadline of so many seconds as this machine and build need it."""
    return seconds * SCALE * (3 if is_sanitized() else 1)


def _built(name):
    path = BUILD / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built")
    return path


def mpyd_program():
    return _built("src/daemon/mpyd")


def action_program():
    return _built("src/action/mpyd-action")


def board_program():
    return _built("src/board/mpyd-board")


def mpyctl_program():
    return _built("src/ctl/mpyctl")


def mpy_cross():
    return _built("src/board/mpy-cross")


def test_module(name):
    """A program or preloaded library of tests/integration."""
    return _built(f"tests/integration/{name}")


def mpremote_path():
    """Where Python finds mpremote: MPYD_MPREMOTE, or else the one of the source that the board was built from."""
    return os.environ.get("MPYD_MPREMOTE") or str(micropython_dir() / "tools/mpremote")


@functools.cache
def micropython_dir():
    """The unpacked source that the board was built from."""
    given = build_options()["micropython-dir"]
    pin = dict(line.split(": ", 1) for line in
               (SOURCE / "subprojects/micropython.pin").read_text().splitlines() if ": " in line)
    path = pathlib.Path(given or SOURCE / "subprojects" / f"micropython-{pin['Version']}")
    if not (path / "tools/mpremote").is_dir():
        raise FileNotFoundError(f"no MicroPython source in {path}")
    return path
