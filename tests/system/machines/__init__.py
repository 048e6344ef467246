# SPDX-License-Identifier: MIT
"""Booted machines to test on: containers with a real PID 1, and virtual machines.

host.py       what the host must have, and directories
architecture.py  amd64, arm64, armhf: QEMU and kernel for each
archive.py    Debian's archive, as this machine reaches it
store.py      what is expensive to make is made once and kept
roots.py      root file systems
machine.py    what tests do with any of them
container.py  a booted container on a throw-away copy of a root
kernel.py     kernel, initrd and disk image for virtual machines
guest.py      a virtual machine: power, snapshots, commands
"""
