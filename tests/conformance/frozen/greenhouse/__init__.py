# SPDX-License-Identifier: MIT
from . import beds
