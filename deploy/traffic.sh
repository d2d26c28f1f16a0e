#!/bin/sh
# Publishes month after month of generated calls, a new seed each, until it is stopped: a picture that moves.
# A broker that does not answer is waited for: the same month is published again, and what came before changes nothing.
# They are calls of the month before: those of this one would lie ahead, and be refused as impossible_time.
# Read from the environment: RATER_BOOTSTRAP, DECK, MONTH (a folder to write to), RATE (records a second).
set -eu
deck=${DECK:-/opt/rater/rater/dev/demo/demo-rates.csv}
month=${MONTH:-/tmp/month}
mkdir -p "$month"
child=""

run() { # a command that ends with this script
    "$@" &
    child=$!
    wait "$child"
}
month_before() {
    now=$(date -u +%Y-%m)
    year=${now%-*}
    number=${now#*-}
    number=$((${number#0} - 1))
    [ "$number" -gt 0 ] || { year=$((year - 1)) && number=12; }
    printf '%s-%02d' "$year" "$number"
}
trap 'kill "$child" 2>/dev/null; exit 143' INT TERM

while :; do
    seed=$(cat "$month/seed" 2>/dev/null || echo 1)
    run rater generate --seed "$seed" --month "$(month_before)" --tenants 20 --users 1000 --calls 20000 \
        --funds 100 --poison 0.0002 --out "$month"
    code=0
    run rater publish --rate "${RATE:-200}" --deck "$deck" --commands "$month/commands.jsonl" "$month/cdrs.jsonl" \
        || code=$?
    case $code in
    # 3: some rows could not be read; they were named, and everything else was published.
    0 | 3) echo $((seed + 1)) >"$month/seed" ;;
    # 7: no broker answers.
    7) run sleep 2 ;;
    *) exit "$code" ;;
    esac
done
