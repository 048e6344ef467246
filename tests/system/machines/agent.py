#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guest's end of the line to the tests: one JSON object a line on a virtio-serial port, which
works with a broken network and after a snapshot is loaded.

{"sh": command, "limit": seconds} → {"rc", "out", "err"}; {"put": path, "data", "mode"} and
{"get": path} move files. Binary is base64."""
import base64
import json
import os
import signal
import subprocess
import sys

PORT = "/dev/virtio-ports/org.mpyd.agent"


def shell(request):
    child = subprocess.Popen(["bash", "-c", request["sh"]], stdin=subprocess.DEVNULL, cwd="/root",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
    try:
        out, err = child.communicate(timeout=request["limit"])
        rc = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        rc = 124
    return {"rc": rc, "out": base64.b64encode(out).decode(), "err": base64.b64encode(err).decode()}


def put(request):
    with open(request["put"], "wb") as f:
        f.write(base64.b64decode(request["data"]))
        os.fchmod(f.fileno(), request["mode"])
    return {"rc": 0}


def get(request):
    with open(request["get"], "rb") as f:
        return {"rc": 0, "data": base64.b64encode(f.read()).decode()}


def answer(request):
    try:
        for key, function in (("sh", shell), ("put", put), ("get", get)):
            if key in request:
                return {**function(request), "id": request["id"]}
        return {"id": request.get("id"), "error": "not understood"}
    except OSError as e:
        return {"id": request["id"], "error": str(e)}


def main():
    port = open(PORT, "r+b", buffering=0)
    lines = open(port.fileno(), "rb", closefd=False)

    def send(message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[port.write(data):]

    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        send({"hello": f.read().strip()})
    for line in lines:
        try:
            request = json.loads(line)
        except ValueError:
            continue  # the rest of a line that was cut by a snapshot
        send(answer(request))
    return 1


sys.exit(main())
