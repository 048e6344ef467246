# A greenhouse controller that fails on its first try, as such things do, and works on its second.
import machine, time

rtc = machine.RTC()


def read_sensor(attempt):
    if attempt == 1:
        raise OSError("sensor does not answer")
    return 21.5


def main():
    # RTC memory survives resets and is empty after power-on.
    attempt = int(rtc.memory() or b"0") + 1
    rtc.memory(str(attempt))
    print("my_app: attempt", attempt)
    time.sleep_ms(100)
    print("my_app: it is", read_sensor(attempt), "degrees in the greenhouse")
