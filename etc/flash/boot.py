# boot.py runs at each boot, before main.py. It is the place for what main.py builds on: paths, the
# clock, the network. An error in here does not keep main.py from running.
