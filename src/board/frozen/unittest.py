# SPDX-License-Identifier: MIT
# Tests of one's own programs, with CPython's names: TestCase, skip, main. The closing lines are those
# that micropython-lib prints, which MicroPython's run-tests.py reads.
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
    def __init__(self, case, params):
        self.case = case
        self.params = params

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, SkipTest):
            return False
        print("  subtest %r:" % (self.params,))
        self.case._result._failed(value)
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

    def addCleanup(self, f, *args, **kwargs):
        self._cleanups.append((f, args, kwargs))

    def doCleanups(self):
        while self._cleanups:
            f, args, kwargs = self._cleanups.pop()
            f(*args, **kwargs)

    def subTest(self, msg=None, **params):
        return _SubTest(self, params if msg is None else (msg, params))

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


class TestResult:
    def __init__(self):
        self.testsRun = 0
        self.failures = []
        self.errors = []
        self.skipped = []

    def wasSuccessful(self):
        return not self.failures and not self.errors

    def _failed(self, e):
        sys.print_exception(e)
        (self.failures if isinstance(e, AssertionError) else self.errors).append(e)

    def __add__(self, other):
        self.testsRun += other.testsRun
        self.failures.extend(other.failures)
        self.errors.extend(other.errors)
        self.skipped.extend(other.skipped)
        return self


def _run_method(case, name, result):
    label = "%s (%s) ..." % (name, type(case).__name__)
    bad = len(result.failures) + len(result.errors)
    result.testsRun += 1
    case._result = result
    case._cleanups = []
    print(label, end=" ")
    try:
        try:
            case.setUp()
            try:
                getattr(case, name)()
            finally:
                case.tearDown()
        finally:
            case.doCleanups()
    except SkipTest as e:
        print("skipped:", e.args[0] if e.args else "")
        result.skipped.append(name)
        return
    except Exception as e:
        print("FAIL" if isinstance(e, AssertionError) else "ERROR")
        result._failed(e)
        return
    print("ok" if bad == len(result.failures) + len(result.errors) else "FAIL")


def _run_class(c, result):
    names = sorted(n for n in dir(c) if n.startswith("test") and callable(getattr(c, n)))
    reason = getattr(c, "__unittest_skip__", None)
    if reason is not None:
        result.testsRun += len(names)
        result.skipped.extend(names)
        print("%s skipped: %s" % (c.__name__, reason))
        return
    try:
        c.setUpClass()
    except SkipTest as e:
        print("%s skipped: %s" % (c.__name__, e.args[0] if e.args else ""))
        result.testsRun += len(names)
        result.skipped.extend(names)
        return
    try:
        for name in names:
            _run_method(c(), name, result)
    finally:
        c.tearDownClass()


class TestSuite:
    def __init__(self, name=""):
        self.name = name
        self._tests = []

    def addTest(self, c):
        self._tests.append(c)

    def run(self, result):
        for c in self._tests:
            _run_class(c, result)
        return result

    def _load_module(self, module):
        for name in dir(module):
            c = getattr(module, name)
            if isinstance(c, type) and c is not TestCase and issubclass(c, TestCase):
                self.addTest(c)


class TestRunner:
    def run(self, suite):
        result = suite.run(TestResult())
        print("-" * 70)
        print("Ran %d tests\n" % result.testsRun)
        if not result.wasSuccessful():
            print("FAILED (failures=%d, errors=%d)" % (len(result.failures), len(result.errors)))
        elif result.skipped:
            print("OK (skipped=%d)" % len(result.skipped))
        else:
            print("OK")
        return result


TextTestRunner = TestRunner


def main(module="__main__", testRunner=None):
    if isinstance(module, str):
        module = __import__(module)
    suite = TestSuite(module.__name__)
    suite._load_module(module)
    return (testRunner or TestRunner()).run(suite)
