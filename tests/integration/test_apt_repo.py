# SPDX-License-Identifier: MIT
"""debian/tools/apt-repo, with a real apt on the other side: an own configuration, file: as transport."""
import os
import subprocess

import pytest

from mpydtest import SOURCE

TOOL = SOURCE / "debian/tools/apt-repo"
NAME = "Test boards <boards@example.org>"


def package(directory, version):
    """A small package of the kind that make deb leaves there."""
    tree = directory / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/doc/mpyd").mkdir(parents=True)
    (tree / "usr/share/doc/mpyd/version").write_text(version)
    (tree / "DEBIAN/control").write_text(
        f"Package: mpyd\nVersion: {version}\nArchitecture: all\nMaintainer: {NAME}\n"
        "Description: a package\n")
    suite = directory / "deb" / "bookworm"
    suite.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, suite], check=True,
                   stdout=subprocess.DEVNULL)


@pytest.fixture
def repository(tmp_path):
    """repository(*options) runs the tool; with a key ring of its own, gone with the test."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}

    def make(*options, check=True):
        return subprocess.run([TOOL, "--packages", tmp_path / "deb", *options, tmp_path / "repo"],
                              env=environment, check=check, capture_output=True, text=True)

    yield make
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


def apt(tmp_path, *command):
    """apt-get as on a board whose only source is the repository; (exit code, output)."""
    root = tmp_path / "apt"
    for name in ("state/lists/partial", "cache/archives/partial", "got"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    (root / "repo.list").write_text(
        f"deb [signed-by={tmp_path}/repo/mpyd-archive-keyring.gpg] file:{tmp_path}/repo/bookworm ./\n")
    options = {"Dir::State": root / "state", "Dir::State::status": root / "status",
               "Dir::Cache": root / "cache", "Dir::Etc::SourceList": root / "repo.list",
               "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::Preferences": "/dev/null",
               "Dir::Etc::PreferencesParts": "/dev/null", "APT::Sandbox::User": "",
               "Acquire::Languages": "none"}
    r = subprocess.run(["apt-get", "-q", *[f"-o{k}={v}" for k, v in options.items()], *command],
                       cwd=root / "got", env={**os.environ, "LC_ALL": "C"}, capture_output=True,
                       text=True)
    return r.returncode, r.stdout + r.stderr


def test_apt_takes_a_package_from_the_repository(tmp_path, repository):
    package(tmp_path, "1.0-1")
    made = repository("--create-key", NAME)
    assert "1 packages" in made.stdout and "keep a copy" in made.stderr
    code, text = apt(tmp_path, "update", "--error-on=any")
    assert code == 0, text
    code, text = apt(tmp_path, "download", "mpyd")
    assert code == 0, text
    assert (tmp_path / "apt/got/mpyd_1.0-1_all.deb").exists()
    code, text = apt(tmp_path, "install", "--print-uris", "-y", "mpyd")
    assert code == 0 and "mpyd_1.0-1_all.deb" in text

    # A newer build, the same key: what make apt-repo does the next time.
    package(tmp_path, "1.0-2")
    repository("--key", "boards@example.org")
    code, text = apt(tmp_path, "update", "--error-on=any")
    assert code == 0, text
    code, text = apt(tmp_path, "download", "mpyd")
    assert code == 0 and (tmp_path / "apt/got/mpyd_1.0-2_all.deb").exists(), text
    left = [p.name for p in (tmp_path / "repo").iterdir() if p.name.startswith(".")]
    assert left == []


def test_apt_refuses_what_somebody_has_changed(tmp_path, repository):
    package(tmp_path, "1.0-1")
    repository("--create-key", NAME)
    index = tmp_path / "repo/bookworm/InRelease"
    index.write_text(index.read_text().replace("Suite: bookworm", "Suite: mallory"))
    code, text = apt(tmp_path, "update", "--error-on=any")
    assert code != 0 and any(
        word in text for word in ("BADSIG", "invalid", "has been manipulated")), text  # gpgv, sqv


def test_mistakes_are_told_with_the_remedy(tmp_path, repository):
    none = repository("--key", "nobody@example.org", check=False)
    assert none.returncode == 1 and "--create-key" in none.stderr
    empty = repository("--create-key", NAME, check=False)
    assert empty.returncode == 1 and "make deb" in empty.stderr
    twice = repository("--create-key", "Test boards <boards@example.org.example>", check=False)
    assert twice.returncode == 1
    two = repository("--key", "Test boards", check=False)
    assert two.returncode == 1 and "fits 2 secret keys" in two.stderr
