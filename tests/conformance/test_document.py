# SPDX-License-Identifier: MIT
"""docs/CONFORMANCE.md says what the tests say."""
import document


def test_items_are_all_there():
    parts = document.read_items()
    assert list(parts["reset_and_boot"]["items"]) == [f"S{n}" for n in range(1, 70)]
    assert list(parts["mpremote"]["items"]) == [f"M{n}" for n in range(1, 45)]


def test_every_item_has_a_test_or_a_reason():
    assert document.problems(document.read_items(), document.read_tests()) == []


def test_committed_document_is_up_to_date():
    text = document.render(document.read_items(), document.read_tests())
    assert document.DOCUMENT.read_text() == text, "run tests/conformance/document.py"


def test_what_is_missing_would_be_noticed():
    items, tests = document.read_items(), document.read_tests()
    del tests["S4"]
    assert any(p.startswith("S4: no test") for p in document.problems(items, tests))
    tests["S99"] = [("conformance/test_x.py", "test_S99_x", None)]
    assert any(p.startswith("S99:") for p in document.problems(items, tests))
