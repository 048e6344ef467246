# SPDX-License-Identifier: MIT
"""A header of 28 pins and the world around it. Tests of pins are one suite for two of them: the chip that mpyd
simulates, and the kernel's gpio-sim (MPYD_TEST_GPIO_SIM: its directory in sysfs, made as tests/system/vm makes it).
Tests that are about one of them are marked simulated."""
import os
import pathlib

GPIO_SIM = os.environ.get("MPYD_TEST_GPIO_SIM")
LABEL = "header" if GPIO_SIM else "simulated"
CHIP = {"gpio": {"chip": "kernel" if GPIO_SIM else "simulated"}}


def _file(line, name):
    return pathlib.Path(GPIO_SIM, f"sim_gpio{line.removeprefix('GPIO')}", name)


def drive(board, line, level):
    """What the world does to a line: "0", "1", or "open". gpio-sim cannot let go of one: what tests leave open has a
    pull-up."""
    if GPIO_SIM:
        _file(line, "pull").write_text("pull-down" if level == "0" else "pull-up")
    else:
        board.ctl("pin", "set", line, level)


def let_go(line):
    """An open drain lets go: gpio-sim has forgotten its pull while the line was driven."""
    if GPIO_SIM:
        _file(line, "pull").write_text("pull-up")


def level(board, line):
    """What is at a line, as the world sees it."""
    if GPIO_SIM:
        return int(_file(line, "value").read_text())
    return int(board.ctl("pin", "get", line).stdout)


def lines(board):
    """What mpyctl pin tells of each, by name."""
    return {entry["name"]: entry for entry in board.ctl_json("pin")}


def lay_down():
    """As it is before anybody has touched it."""
    if GPIO_SIM:
        for n in range(28):
            _file(f"GPIO{n}", "pull").write_text("pull-down")
