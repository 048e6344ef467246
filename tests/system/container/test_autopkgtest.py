# SPDX-License-Identifier: MIT
"""debian/tests, which Debian's autopkgtest runs on an installed package: by its own runner, on Debian 13."""
import io
import tarfile

import packages
from machines.host import SOURCE


def test_board(board):
    board.push(SOURCE / "debian/tests/board", "/root/board")
    assert "remembers" in board.run("sh /root/board", 120)


def test_autopkgtest(containers, tmp_path):
    """It installs the package itself. The machine is the isolation that the test asks for."""
    machine = containers("trixie")
    machine.push(packages.find("trixie"), "/root/mpyd.deb")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(SOURCE / "debian", "source/debian")
    (tmp_path / "source.tar").write_bytes(packed.getvalue())
    machine.push(tmp_path / "source.tar", "/root/source.tar")
    machine.run("tar -C /root -xf /root/source.tar")
    machine.run("cd /root && autopkgtest --ignore-restrictions=isolation-container,breaks-testbed "
                "--summary-file=/root/summary mpyd.deb source/ -- null 2>&1", 300)
    assert machine.read("/root/summary").split() == ["board", "PASS"]
