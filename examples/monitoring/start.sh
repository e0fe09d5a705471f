#!/bin/sh
# Starts Prometheus and Alertmanager with the files beside this script, as they are installed (on Debian and Ubuntu:
# apt-get install --no-install-recommends prometheus prometheus-alertmanager), and ends both when it is ended.
# What they store goes to the folder DATA, or ./data.
set -eu
cd "$(dirname "$0")"
data=${DATA:-data}
mkdir -p "$data"

# The package of Debian calls it so, the project itself without the prefix.
alertmanager=$(command -v prometheus-alertmanager || command -v alertmanager)

"$alertmanager" --config.file=alertmanager.yml --storage.path="$data/alertmanager" \
    --cluster.listen-address= --web.listen-address=127.0.0.1:9093 &
alertmanager_pid=$!
trap 'kill $alertmanager_pid $prometheus_pid 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM
prometheus_pid=
prometheus --config.file=prometheus.yml --storage.tsdb.path="$data/prometheus" \
    --web.listen-address=127.0.0.1:9090 &
prometheus_pid=$!

echo "Prometheus:   http://127.0.0.1:9090/alerts"
echo "Alertmanager: http://127.0.0.1:9093/"
wait
