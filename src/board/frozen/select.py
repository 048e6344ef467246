# SPDX-License-Identifier: MIT
# select.select() over the built-in poll(), which is what else there is in select.
from uselect import *


# Lists of the objects of each list that are ready, in its order; a hang-up counts as readable, as in select(2),
# and the third list is for errors and hang-ups, as in MicroPython. timeout in seconds, None: for ever.
def select(rlist, wlist, xlist, timeout=None):
    poller = poll()
    wanted = {}
    for objects, events in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLERR | POLLHUP)):
        for x in objects:
            wanted[id(x)] = wanted.get(id(x), 0) | events
            poller.register(x, wanted[id(x)])
    ready = {
        id(x): events for x, events in poller.poll(-1 if timeout is None else -int(-timeout * 1000 // 1))
    }
    return tuple(
        [x for x in objects if ready.get(id(x), 0) & events]
        for objects, events in (
            (rlist, POLLIN | POLLHUP | POLLERR),
            (wlist, POLLOUT | POLLERR),
            (xlist, POLLERR | POLLHUP),
        )
    )
