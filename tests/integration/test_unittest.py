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
        for n in range(5):
            with self.subTest("part", n=n):
                if n == 2:
                    self.skipTest("no part")
                self.assertTrue(n != 1 and n != 4)
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
runTest (mine.One) ... <one>ok
test_a (mine.Net) ... skipped: no network
test_b (mine.Net) ... skipped: no network
<class>
test_breaks (mine.Plain) ... <up><down>ERROR
test_expected (mine.Plain) ... <up><down>ok
test_good (mine.Plain) ... <up><down>ok
test_parts (mine.Plain) ... <up>skipped: no part
<down>FAIL
test_skipped (mine.Plain) ... <up><down>skipped: no sensor
test_wrong (mine.Plain) ... <up><down><cleaned>FAIL
test_a (mine.Refused) ... skipped: not on this board
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
    for told in ("FAIL: test_breaks (mine.Plain)\n", "KeyError: nothing\n", "FAIL: test_wrong (mine.Plain)\n",
                 "AssertionError: they differ\n", "FAIL: test_parts (mine.Plain) [part] (n=1)\n", 'File "mine.py", line '):
        assert told in rest, (told, rest)
    assert rest.endswith("-" * 70 + "\nRan 11 tests\n\nFAILED (failures=3, errors=1)\n")


def test_a_result_has_counts_and_lists(repl):
    run(repl, "r = unittest.main(mine)")
    assert run(repl, "print(r, r.wasSuccessful())") == "<unittest.result.TestResult run=11 errors=1 failures=3> False\n"
    assert run(repl, "print(r.errorsNum, r.failuresNum, r.skippedNum, r.testsRun)") == "1 3 5 11\n"
    assert run(repl, "print(r.errors[0][0], 'KeyError' in r.errors[0][1])") == "('test_breaks', '(mine.Plain)') True\n"
    assert "(('test_a', '(mine.Net)'), 'no network')" in run(repl, "print(r.skipped)")
    assert run(repl, "s = unittest.TestResult() + r\ns += r\nprint(s.testsRun, s.failuresNum)") == "22 6\n"


def test_runners_and_suites(repl):
    out = run(repl, """
class Quiet(unittest.TestRunner):
    def run(self, suite):
        inner = unittest.TestSuite('inner')
        inner.addTest(mine.One)
        inner.addTest(mine.One())
        class Alone:  # of no class of ours
            def test_it(self): print("<alone>", end="")
        inner.addTest(Alone)
        outer = unittest.TestSuite('outer')
        outer.addTest(inner)
        outer.addTest(mine.test_function)
        return super().run(outer)
print(unittest.main('mine', Quiet).testsRun, unittest.main('mine', testRunner=Quiet()).wasSuccessful())
""")
    assert out.endswith("OK\n4 True\n") and out.count("test_function (outer) ... ok\n") == 2
    assert out.count("runTest (inner.One) ... <one>ok\n") == 4 and "test_it (inner.Alone) ... <alone>ok\n" in out, out
