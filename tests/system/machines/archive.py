# SPDX-License-Identifier: MIT
"""Debian's archive, as this machine reaches it: mirrors, proxies, credentials and trust are read
from its own APT configuration, by the same code that obtains sources (subprojects/)."""
import importlib.machinery
import importlib.util
import os
import re
import subprocess

from .host import SOURCE, HostError, run

_PATH = SOURCE / "subprojects/fetch-debian-source"


def _fetch_debian_source():
    loader = importlib.machinery.SourceFileLoader("fetch_debian_source", str(_PATH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def source_lines(suite):
    """One "deb …" line for each address of the main archive that this machine knows, best first."""
    source = _fetch_debian_source()
    try:
        addresses = source.archive_addresses()
    except source.Failure as e:
        raise HostError(str(e)) from e
    lines = []
    for uri, trusted in addresses:
        options = f"[signed-by={source.KEYRING}]" if os.path.exists(source.KEYRING) else ""
        lines.append(f"deb {'[trusted=yes]' if trusted else options} {uri} {suite} main")
    return lines


def apt_options():
    """How this machine downloads (proxies, time-outs, credentials), as lines of apt.conf."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    lines = [line for line in dump.splitlines()
             if re.match(r"Acquire::(https?|ftp|Retries|ForceIPv[46])\b", line)]
    return [*lines, 'Dir::Etc::netrc "/etc/apt/auth.conf";',
            'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";',
            'Acquire::Check-Valid-Until "false";', 'Acquire::Languages "none";',
            'Acquire::Retries "3";', 'APT::Install-Recommends "false";']


def from_any(suite, attempt):
    """attempt(source line) for each address until one works."""
    failures = []
    for line in source_lines(suite):
        try:
            return attempt(line)
        except HostError as e:
            failures.append(str(e))
    raise HostError(f"Debian {suite} could not be had:\n" + "\n".join(failures))


class Download:
    """Downloads .debs of a suite and architecture; the machine's own lists are not touched."""

    def __init__(self, directory, suite, arch):
        self.directory = directory
        self.configuration = directory / "apt.conf"
        for name in ("lists/partial", "archives/partial", "preferences.d", "debs"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "status").write_text("")
        (directory / "sources.list").write_text("")
        settings = {
            "Dir::State::Lists": "lists", "Dir::State::status": "status", "Dir::Cache": ".",
            "Dir::Cache::archives": "archives", "Dir::Etc::SourceList": "sources.list"}
        self.configuration.write_text("".join(
            [f'{key} "{directory / value}";\n' for key, value in settings.items()] +
            [f"{line}\n" for line in apt_options()] +
            ['Dir::Etc::SourceParts "/dev/null";\n', 'Dir::Etc::Parts "/dev/null";\n',
             'Dir::Etc::Preferences "/dev/null";\n', 'Dir::Etc::PreferencesParts "/dev/null";\n',
             'APT::Sandbox::User "";\n',
             f'APT::Architecture "{arch}";\n', f'APT::Architectures {{ "{arch}"; }};\n']))
        from_any(suite, self._update)

    def _apt(self, *arguments):
        env = {**os.environ, "APT_CONFIG": str(self.configuration), "LC_ALL": "C"}
        return run(["apt-get", "-q", *arguments], env=env, cwd=self.directory / "debs")

    def _update(self, line):
        (self.directory / "sources.list").write_text(line + "\n")
        self._apt("-o", "APT::Update::Error-Mode=any", "update")

    def get(self, *packages):
        """The downloaded files, by package."""
        self._apt("download", *packages)
        found = {}
        for package in packages:
            files = list((self.directory / "debs").glob(f"{package}_*.deb"))
            if len(files) != 1:
                raise HostError(f"{package}: {len(files)} files were downloaded")
            found[package] = files[0]
        return found
