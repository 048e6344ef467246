# main.py: put your program here. It runs after boot.py at each boot; when it ends, there is the REPL.
import machine, sys

print("MicroPython %d.%d.%d is up;" % sys.implementation.version[:3],
      "replace main.py with your program, then: mpyctl reset")
