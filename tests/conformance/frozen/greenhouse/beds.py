# SPDX-License-Identifier: MIT
COUNT = 7
