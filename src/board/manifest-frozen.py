# SPDX-License-Identifier: MIT
# Python that the packager adds (-Dfrozen-dir=): modules, and boot.py or main.py.
freeze("$(FROZEN_DIR)", opt=0)
