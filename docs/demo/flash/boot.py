# boot.py runs at each boot, before main.py. What it sets, main.py and the REPL can see.
import machine

CAUSES = {
    machine.PWRON_RESET: "power was switched on",
    machine.HARD_RESET: "somebody or something reset the board",
    machine.WDT_RESET: "the watchdog bit",
    machine.DEEPSLEEP_RESET: "it woke from deep sleep",
    machine.SOFT_RESET: "of a soft reset",
}
why = CAUSES.get(machine.reset_cause(), "unknown")
print("this boot is because", why)
