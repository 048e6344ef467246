# SPDX-License-Identifier: MIT
"""The decorator that ties a test to an item of the specification."""
import pytest


def item(number, state="holds"):
    """number: "S4", "M12". state: one line for docs/CONFORMANCE.md, read by conformance.py."""
    return pytest.mark.item(number, state)
