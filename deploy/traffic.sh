#!/bin/sh
# Publishes month after month of generated calls, a new seed each, until it is stopped: a picture that moves.
# Takes from the environment: RATER_BOOTSTRAP, and the pause between two months, PAUSE_S.
set -eu
deck=/opt/rater/rater/demo/demo-rates.csv
seed=1
while :; do
    rater generate --seed "$seed" --month "$(date -u +%Y-%m)" --tenants 20 --users 1000 --calls 20000 --poison 0.0002 --out /tmp/month
    # 3: some rows could not be read; they were named, and everything else was published.
    rater publish --deck "$deck" --commands /tmp/month/commands.jsonl /tmp/month/cdrs.jsonl || [ $? -eq 3 ]
    seed=$((seed + 1))
    sleep "${PAUSE_S:-10}"
done
