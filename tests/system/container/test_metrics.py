# SPDX-License-Identifier: MIT
"""mpyd-metrics.timer: nothing until its owner enables it; then a file that node_exporter picks up."""
FILE = "/var/lib/prometheus/node-exporter/mpyd.prom"


def test_textfile(board):
    assert board.run("systemctl is-enabled mpyd-metrics.timer || :").strip() == "disabled"
    board.run("systemctl enable --now mpyd-metrics.timer")  # no node_exporter here: nothing is written, nothing fails
    board.run("systemctl start mpyd-metrics.service")
    assert board.run("systemctl --failed --no-legend --plain").strip() == ""
    board.run("mkdir -p /var/lib/prometheus/node-exporter && systemctl start mpyd-metrics.service")
    assert "mpyd_up 1" in board.run(f"cat {FILE}")
    board.run("systemctl stop mpyd")
    board.until(f"systemctl start mpyd-metrics.service; cat {FILE}", lambda out: "mpyd_up 0" in out)
    assert board.run(f"stat -c %a {FILE}").strip() == "644"
    board.run("DEBIAN_FRONTEND=noninteractive apt-get purge -q -y mpyd")
    assert board.run("ls /etc/systemd/system/timers.target.wants | grep mpyd || :").strip() == ""
