# SPDX-License-Identifier: MIT
# select.select() over the built-in poll(), which is what else there is in select.
from uselect import *

_POLLNVAL = 0x20  # of poll(2): it is closed
_EBADF = 9


# Lists of the objects of each list that are ready, in its order; as in select(2) an error or a hang-up makes an object
# ready for whatever it was asked for, so that reading or writing tells. The third list is for those that are only
# waited for because of them. timeout in seconds, None: for ever. OSError(EBADF) for what is closed.
def select(rlist, wlist, xlist, timeout=None):
    lists = tuple(rlist), tuple(wlist), tuple(xlist)
    poller = poll()
    wanted = {}
    for objects, events in zip(lists, (POLLIN, POLLOUT, POLLERR | POLLHUP)):
        for x in objects:
            wanted[id(x)] = wanted.get(id(x), 0) | events
            poller.register(x, wanted[id(x)])
    ready = {}
    for x, events in poller.poll(-1 if timeout is None else -int(-timeout * 1000 // 1)):
        if events & _POLLNVAL:
            raise OSError(_EBADF)
        ready[id(x)] = events
    return tuple(
        [x for x in objects if ready.get(id(x), 0) & (events | POLLERR | POLLHUP)]
        for objects, events in zip(lists, (POLLIN, POLLOUT, 0))
    )
