# SPDX-License-Identifier: MIT
# The older name of requests.
from requests import *
