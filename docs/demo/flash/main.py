# The pattern of MicroPython's "Reset and Boot Sequence": a program that ends in an error says so and
# resets the board; Ctrl-C (KeyboardInterrupt is no Exception) drops to the REPL instead.
import machine, sys
import my_app

try:
    my_app.main()
except Exception as e:
    print("Fatal error in main:")
    sys.print_exception(e)
    machine.reset()

print("main.py: done, here is the REPL")
