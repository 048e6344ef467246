# SPDX-License-Identifier: MIT
"""The frozen unittest: what runs, what is told, what a result has, as programs know it from micropython-lib."""
import pytest

MODULE = """
import unittest
from unittest import *

class Plain(TestCase):
    @classmethod
    def setUpClass(cls):
        print("<class>")
    def setUp(self):
        print("<up>", end="")
    def tearDown(self):
        print("<down>", end="")
    def test_good(self):
        self.assertAlmostEqual(1.0, 1.00000001)
        with self.assertRaises(ZeroDivisionError):
            1 / 0
        with self.assertWarns(Exception):
            pass
        with self.assertRaises(TypeError):
            self.assertAlmostEqual(1, 1, places=1, delta=1)
    def test_wrong(self):
        self.addCleanup(print, "<cleaned>", end="")
        self.assertEqual(1, 2, "they differ")
    def test_breaks(self):
        {}["nothing"]
    def test_parts(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertTrue(n != 1)
    @skipIf(True, "no sensor")
    def test_skipped(self):
        self.fail()
    @expectedFailure
    def test_expected(self):
        self.fail()

class One(TestCase):
    def runTest(self):
        print("<one>", end="")
    def test_not_run(self):
        self.fail()

@skip("no network")
class Net(TestCase):
    def test_a(self): pass
    def test_b(self): pass

class Refused(TestCase):
    def setUpClass(self):
        raise SkipTest("not on this board")
    def test_a(self): pass

def test_function():
    pass
"""
SAYS = """\
runTest (One) ... <one>ok
Net skipped: no network
<class>
test_breaks (Plain) ... <up><down>ERROR
test_expected (Plain) ... <up><down>ok
test_good (Plain) ... <up><down>ok
test_parts (Plain) ... <up><down>FAIL
test_skipped (Plain) ... <up><down>skipped: no sensor
test_wrong (Plain) ... <up><down><cleaned>FAIL
Refused skipped: not on this board
test_function (mine) ... ok
"""


@pytest.fixture
def board(boards):
    return boards({"mine.py": MODULE})


@pytest.fixture
def repl(board):
    r = board.raw()
    run(r, "import unittest, mine")
    return r


def run(repl, code):
    out, error = repl.exec_raw(code)
    assert error == "", error
    return out.replace("\r\n", "\n")


def blocks(text):
    """The classes in the order of their names: a module's names have none."""
    tests, rest = text.split("=" * 70, 1)
    return sorted(tests.splitlines()), "=" * 70 + rest


def test_everything_runs_once_and_failures_are_told_at_the_end(repl):
    tests, rest = blocks(run(repl, "r = unittest.main('mine')"))
    assert tests == sorted(SAYS.splitlines())
    for told in ("FAIL: test_breaks (Plain)\n", "KeyError: nothing\n", "FAIL: test_wrong (Plain)\n",
                 "AssertionError: they differ\n", "FAIL: test_parts (Plain) {'n': 1}\n", 'File "mine.py", line '):
        assert told in rest, (told, rest)
    assert rest.endswith("-" * 70 + "\nRan 11 tests\n\nFAILED (failures=2, errors=1)\n")


def test_a_result_has_counts_and_lists(repl):
    run(repl, "r = unittest.main(mine)")
    assert run(repl, "print(r, r.wasSuccessful())") == "<unittest.result.TestResult run=11 errors=1 failures=2> False\n"
    assert run(repl, "print(r.errorsNum, r.failuresNum, r.skippedNum, r.testsRun)") == "1 2 4 11\n"
    assert run(repl, "print(r.errors[0][0], 'KeyError' in r.errors[0][1])") == "('test_breaks', '(Plain)') True\n"
    assert "(('test_a', '(Net)'), 'no network')" in run(repl, "print(r.skipped)")
    assert run(repl, "s = unittest.TestResult() + r\ns += r\nprint(s.testsRun, s.failuresNum)") == "22 4\n"


def test_runners_and_suites(repl):
    out = run(repl, """
class Quiet(unittest.TestRunner):
    def run(self, suite):
        inner = unittest.TestSuite('inner')
        inner.addTest(mine.One)
        outer = unittest.TestSuite('outer')
        outer.addTest(inner)
        outer.addTest(mine.test_function)
        return super().run(outer)
print(unittest.main('mine', Quiet).testsRun, unittest.main('mine', testRunner=Quiet()).wasSuccessful())
""")
    assert out.endswith("OK\n2 True\n") and out.count("test_function (outer) ... ok\n") == 2, out
