# SPDX-License-Identifier: MIT
# Tests of one's own programs: TestCase, skip, main, with CPython's names. What runs, the counts of a result and the lines
# that are printed are those of micropython-lib's unittest, which programs of other boards have in /lib; MicroPython's
# run-tests.py reads them.
import io
import sys


class SkipTest(Exception):
    pass


def skip(reason):
    def decorate(f):
        if isinstance(f, type):
            f.__unittest_skip__ = reason
            return f

        def skipped(*args, **kwargs):
            raise SkipTest(reason)

        return skipped

    return decorate


def skipIf(condition, reason):
    return skip(reason) if condition else lambda f: f


def skipUnless(condition, reason):
    return skipIf(not condition, reason)


def expectedFailure(f):
    def expected(*args, **kwargs):
        try:
            f(*args, **kwargs)
        except Exception:
            return
        raise AssertionError("unexpected success")

    return expected


class _Raises:
    def __init__(self, expected):
        self.expected = expected
        self.exception = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            raise AssertionError("%r was not raised" % (self.expected,))
        self.exception = value
        return issubclass(kind, self.expected)


class _SubTest:
    def __init__(self, case, msg, params):
        self.case = case
        self.details = ("[%s]" % msg,) if msg is not None else ()
        if params:
            self.details += ("(%s)" % ", ".join("%s=%s" % p for p in sorted(params.items())),)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None or not issubclass(kind, Exception):
            return False
        result, test = self.case._running
        if issubclass(kind, SkipTest):
            result._skipped(test + self.details, value)
        else:
            result._failed(test + self.details, value)
        return True


class TestCase:
    def setUp(self):
        pass

    def tearDown(self):
        pass

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    _running = _cleanups = None

    def addCleanup(self, f, *args, **kwargs):
        self._cleanups.append((f, args, kwargs))

    def doCleanups(self):
        while self._cleanups:
            f, args, kwargs = self._cleanups.pop()
            f(*args, **kwargs)

    def subTest(self, msg=None, **params):
        return _SubTest(self, msg, params)

    def skipTest(self, reason):
        raise SkipTest(reason)

    def fail(self, msg=None):
        raise AssertionError(msg or "failed")

    def _check(self, good, text, msg):
        if not good:
            raise AssertionError(msg or text)

    def assertTrue(self, x, msg=None):
        self._check(x, "%r is not true" % (x,), msg)

    def assertFalse(self, x, msg=None):
        self._check(not x, "%r is not false" % (x,), msg)

    def assertEqual(self, x, y, msg=None):
        self._check(x == y, "%r != %r" % (x, y), msg)

    def assertNotEqual(self, x, y, msg=None):
        self._check(x != y, "%r == %r" % (x, y), msg)

    def assertLess(self, x, y, msg=None):
        self._check(x < y, "%r is not less than %r" % (x, y), msg)

    def assertLessEqual(self, x, y, msg=None):
        self._check(x <= y, "%r is greater than %r" % (x, y), msg)

    def assertGreater(self, x, y, msg=None):
        self._check(x > y, "%r is not greater than %r" % (x, y), msg)

    def assertGreaterEqual(self, x, y, msg=None):
        self._check(x >= y, "%r is less than %r" % (x, y), msg)

    def assertIs(self, x, y, msg=None):
        self._check(x is y, "%r is not %r" % (x, y), msg)

    def assertIsNot(self, x, y, msg=None):
        self._check(x is not y, "%r is %r" % (x, y), msg)

    def assertIsNone(self, x, msg=None):
        self._check(x is None, "%r is not None" % (x,), msg)

    def assertIsNotNone(self, x, msg=None):
        self._check(x is not None, "it is None", msg)

    def assertIn(self, x, y, msg=None):
        self._check(x in y, "%r is not in %r" % (x, y), msg)

    def assertNotIn(self, x, y, msg=None):
        self._check(x not in y, "%r is in %r" % (x, y), msg)

    def assertIsInstance(self, x, y, msg=None):
        self._check(isinstance(x, y), "%r is no %r" % (x, y), msg)

    def _near(self, x, y, places, delta):
        if places is not None and delta is not None:
            raise TypeError("specify delta or places not both")
        if x == y:
            return True
        if delta is not None:
            return abs(x - y) <= delta
        return round(abs(y - x), 7 if places is None else places) == 0

    def assertAlmostEqual(self, x, y, places=None, msg=None, delta=None):
        self._check(self._near(x, y, places, delta), "%r and %r differ" % (x, y), msg)

    def assertNotAlmostEqual(self, x, y, places=None, msg=None, delta=None):
        self._check(not self._near(x, y, places, delta), "%r and %r are alike" % (x, y), msg)

    def assertRaises(self, expected, f=None, *args, **kwargs):
        context = _Raises(expected)
        if f is None:
            return context
        with context:
            f(*args, **kwargs)

    def assertWarns(self, expected):  # MicroPython has no warnings: whatever is in it may run
        return _Anything()


class _Anything:
    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        return False


# errors and failures: (test, traceback as text), skipped: (test, reason). A test is (name, class, parameters if any).
class TestResult:
    def __init__(self):
        self.testsRun = 0
        self.failures = []
        self.errors = []
        self.skipped = []

    errorsNum = property(lambda self: len(self.errors))
    failuresNum = property(lambda self: len(self.failures))
    skippedNum = property(lambda self: len(self.skipped))

    def wasSuccessful(self):
        return not self.failures and not self.errors

    def printErrors(self):
        for test, text in self.errors + self.failures:
            print("=" * 70)
            print("FAIL:", *test)
            print("-" * 70)
            print(text)

    def _skipped(self, test, e):
        reason = e.args[0] if e.args else ""
        self.skipped.append((test, reason))
        print("skipped:", reason)

    def _failed(self, test, e):
        text = io.StringIO()
        sys.print_exception(e, text)
        (self.failures if isinstance(e, AssertionError) else self.errors).append((test, text.getvalue()))

    def __add__(self, other):
        self.testsRun += other.testsRun
        self.failures.extend(other.failures)
        self.errors.extend(other.errors)
        self.skipped.extend(other.skipped)
        return self

    def __repr__(self):
        return "<unittest.result.TestResult run=%d errors=%d failures=%d>" % (
            self.testsRun,
            self.errorsNum,
            self.failuresNum,
        )


# One test: f, of case (None: a function of the module).
def _run(name, where, case, f, result):
    test = (name, "(%s)" % where)
    bad = result.errorsNum + result.failuresNum
    result.testsRun += 1
    print(name, test[1], "...", end=" ")
    try:
        if case is None:
            f()
        else:
            case._running = (result, test)
            case._cleanups = []
            try:
                _method(case, "setUp")()
                try:
                    f()
                finally:
                    _method(case, "tearDown")()
            finally:
                _method(case, "doCleanups")()
    except SkipTest as e:
        result._skipped(test, e)
        return
    except Exception as e:
        result._failed(test, e)
        print("FAIL" if isinstance(e, AssertionError) else "ERROR")
        return
    print("ok" if bad == result.errorsNum + result.failuresNum else "FAIL")


def _method(case, name):
    return getattr(case, name, lambda: None)


# All tests of a class, of one object, or of one that is given; runTest(), if there is one, is all of them.
def _run_case(c, where, result):
    kind, case = (c, c()) if isinstance(c, type) else (type(c), c)
    where += "." + kind.__name__
    if hasattr(case, "runTest"):
        names = ["runTest"]
    else:
        names = sorted(n for n in dir(case) if n.startswith("test") and callable(getattr(case, n)))
    skip = getattr(kind, "__unittest_skip__", None)
    try:
        if skip is not None:
            raise SkipTest(skip)
        _method(case, "setUpClass")()
    except SkipTest as e:
        for name in names:
            result.testsRun += 1
            print(name, "(%s) ..." % where, end=" ")
            result._skipped((name, "(%s)" % where), e)
        return
    try:
        for name in names:
            _run(name, where, case, getattr(case, name), result)
    finally:
        _method(case, "tearDownClass")()


class TestSuite:
    def __init__(self, name=""):
        self.name = name
        self._tests = []

    # test: a class of tests, an object of one, another suite, or a function.
    def addTest(self, test):
        self._tests.append(test)

    def run(self, result):
        for test in self._tests:
            if isinstance(test, TestSuite):
                test.run(result)
            elif isinstance(test, type) or not callable(test):
                _run_case(test, self.name, result)
            else:
                _run(test.__name__, self.name, None, test, result)
        return result

    def _load_module(self, module):
        for name in dir(module):
            c = getattr(module, name)
            if isinstance(c, type):
                if c is not TestCase and issubclass(c, TestCase):
                    self.addTest(c)
            elif name.startswith("test") and callable(c):
                self.addTest(c)


class TestRunner:
    def run(self, suite):
        result = suite.run(TestResult())
        result.printErrors()
        print("-" * 70)
        print("Ran %d tests\n" % result.testsRun)
        if not result.wasSuccessful():
            print("FAILED (failures=%d, errors=%d)" % (result.failuresNum, result.errorsNum))
        elif result.skipped:
            print("OK (skipped=%d)" % result.skippedNum)
        else:
            print("OK")
        return result


TextTestRunner = TestRunner


# module: one, or its name; testRunner: a class like TestRunner, or an object of it.
def main(module="__main__", testRunner=None):
    if isinstance(module, str):
        module = __import__(module)
    runner = testRunner or TestRunner
    if isinstance(runner, type):
        runner = runner()
    suite = TestSuite(module.__name__)
    suite._load_module(module)
    return runner.run(suite)
