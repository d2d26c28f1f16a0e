#!/bin/sh
# What compose.yaml starts, without Docker: everything on 127.0.0.1, until Ctrl-C.  Run by `make picture`.
# Needs Java 17 and Maven; shows dashboards' figures in Prometheus where that is installed (apt install prometheus).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${PICTURE_FOLDER:-picture}
mkdir -p "$folder"
running=""

start() { # NAME COMMAND...: in the background, its output in a file of that name
    name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 &
    echo "$!" >"$folder/$name.pid"
    running="$running $!"
    echo "$name: process $!, $folder/$name.log"
}

end() {
    trap - EXIT INT TERM
    for id in $running; do kill "$id" 2>/dev/null || true; done
    wait
    rater dev kafka stop
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

RATER_BOOTSTRAP=$(rater dev kafka start --port "${KAFKA_PORT:-9092}")
export RATER_BOOTSTRAP
rater topics apply --partitions 4 >/dev/null
start worker rater worker --web-port 6066 --index "$folder/index"
start gateway rater dev gateway --port 8090 --log "$folder/charges.jsonl" --when tenant:tenant-0001=card_expired
RATER_GATEWAY_URL=http://127.0.0.1:8090 start agents rater agents --web-port 6067
DECK="$here/../rater/demo/demo-rates.csv" MONTH="$folder/month" start traffic "$here/traffic.sh"
if command -v prometheus >/dev/null; then
    sed -e "s|rules.yml|$here/prometheus/rules.yml|" \
        -e 's|dns_sd_configs: .*worker.*|static_configs: [{targets: ["127.0.0.1:6066"]}]|' \
        -e 's|dns_sd_configs: .*agents.*|static_configs: [{targets: ["127.0.0.1:6067"]}]|' \
        "$here/prometheus/prometheus.yml" >"$folder/prometheus.yml"
    start prometheus prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus" \
        --web.listen-address=127.0.0.1:9090 --enable-feature=exemplar-storage
    echo "look at http://127.0.0.1:9090/alerts"
fi
echo "it moves: rater top --bootstrap $RATER_BOOTSTRAP        (Ctrl-C here ends everything)"
wait
