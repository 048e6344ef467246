# SPDX-License-Identifier: MIT
"""An owner's own archive (docs/APT-REPOSITORY.md): made, signed, and installed from by apt."""
import os
import shutil
import subprocess

import packages
from machines.host import SOURCE


def test_apt_installs_from_our_repository(suite, containers, tmp_path):
    debs, repository, keys = (tmp_path / name for name in ("debs", "repository", "keys"))
    (debs / suite).mkdir(parents=True)
    shutil.copy(packages.find(suite), debs / suite)
    keys.mkdir(mode=0o700)
    try:
        subprocess.run([SOURCE / "debian/tools/apt-repo", "--create-key",
                        "Greenhouse <owner@greenhouse.example>", "--packages", debs, repository],
                       check=True, env={**os.environ, "GNUPGHOME": str(keys)},
                       stdin=subprocess.DEVNULL)
    finally:
        subprocess.run(["gpgconf", "--homedir", keys, "--kill", "all"], check=False)
    machine = containers(suite)
    machine.run("mkdir -p /srv/archive")
    for path in (repository / suite).iterdir():
        machine.push(path, f"/srv/archive/{path.name}")
    machine.push(repository / "mpyd-archive-keyring.gpg",
                 "/usr/share/keyrings/mpyd-archive-keyring.gpg")
    machine.write("/etc/apt/sources.list.d/mpyd.list",
                  "deb [signed-by=/usr/share/keyrings/mpyd-archive-keyring.gpg] "
                  "file:/srv/archive ./\n")
    machine.run("apt-get -q update 2>&1 && apt-get install -q -y mpyd 2>&1")
    assert machine.evaluate("6*7") == "42"
    # What somebody changed on the way is refused.
    machine.run("apt-get purge -q -y mpyd 2>&1; rm -rf /var/lib/apt/lists/*; "
                "sed -i 's/^Description:.*/Description: changed/' /srv/archive/Packages")
    machine.run("rm -f /srv/archive/Packages.*")
    assert machine.execute("apt-get -q -o APT::Update::Error-Mode=any update").returncode != 0
