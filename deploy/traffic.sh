#!/bin/sh
# Publishes month after month of generated calls, a new seed each, until it is stopped: a picture that moves.
# Takes from the environment: RATER_BOOTSTRAP, DECK, MONTH (a folder to write to), RATE (records a second).
set -eu
deck=${DECK:-/opt/rater/rater/demo/demo-rates.csv}
month=${MONTH:-/tmp/month}
seed=1
child=""

run() { # a command that ends with this script
    "$@" &
    child=$!
    wait "$child"
}
trap 'kill "$child" 2>/dev/null; exit 143' INT TERM

while :; do
    run rater generate --seed "$seed" --month "$(date -u +%Y-%m)" --tenants 20 --users 1000 --calls 20000 \
        --funds 100 --poison 0.0002 --out "$month"
    # 3: some rows could not be read; they were named, and everything else was published.
    run rater publish --rate "${RATE:-200}" --deck "$deck" --commands "$month/commands.jsonl" "$month/cdrs.jsonl" \
        || [ $? -eq 3 ]
    seed=$((seed + 1))
done
