#!/bin/sh
# What compose.yaml starts, without Docker: everything on 127.0.0.1.
#   deploy/picture.sh                  starts all parts and waits; Ctrl-C ends them        (`make picture` runs this)
#   deploy/picture.sh stop PART        ends one part in order; start PART starts it again
#   deploy/picture.sh kill PART        ends it at once, as a machine that loses power would
#   deploy/picture.sh pause PART       freezes it: it holds its connections and does not answer; continue PART
#   deploy/picture.sh status           which parts run; end: ends what is left of a picture whose terminal is gone
# A PART is one of: broker worker agents gateway page traffic prometheus.
# Needs Java 17 and Maven; Prometheus is left out where it is not installed (apt install prometheus).
# From the environment: PICTURE_FOLDER (picture), KAFKA_FOLDER (.kafka), and a port for each part, see below.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${PICTURE_FOLDER:-picture}"
typed=${PICTURE_FOLDER:-picture}
folder=$(cd "$typed" && pwd)
PARTS="gateway worker agents page prometheus traffic"
STOP_TIMEOUT_S=20

words_of() { # PART: what its command line contains, so that no other process is ever ended
    case $1 in
    broker) echo kafka.Kafka ;;
    worker) echo "rater worker" ;;
    agents) echo "rater agents" ;;
    gateway) echo "rater dev gateway" ;;
    page) echo "rater serve" ;;
    traffic) echo traffic.sh ;;
    prometheus) echo "prometheus --config.file" ;;
    *) echo "$1: expected one of: broker $PARTS" >&2 && exit 2 ;;
    esac
}

pid_of() { # PART: its process if it runs
    words=$(words_of "$1")
    file=$folder/$1.pid
    [ "$1" != broker ] || file=$KAFKA_FOLDER/broker-1/pid
    id=$(cat "$file" 2>/dev/null) || return 1
    # one that ended and was not waited for has no words any more
    ps -ww -p "$id" -o args= | grep -qF "$words" || return 1
    echo "$id"
}

is_gone() { # ID: ended, waited for or not; one that was begun this instant has no words of its own yet
    case $(ps -p "$1" -o stat=) in
    '' | Z*) return 0 ;;
    *) return 1 ;;
    esac
}

start() { # PART: in the background, its output in a file of that name
    if [ "$1" != broker ] && pid_of "$1" >/dev/null; then
        echo "$1 runs already"
        return
    fi
    case $1 in
    broker)
        rater dev kafka start --port "$KAFKA_PORT" --folder "$KAFKA_FOLDER"
        return
        ;;
    worker) set -- worker rater worker --web-port "$WORKER_PORT" --index "$folder/index" --instance worker-1 ;;
    agents) set -- agents rater agents --web-port "$AGENTS_PORT" --instance agents-1 ;;
    gateway)
        set -- gateway rater dev gateway --port "$GATEWAY_PORT" --log "$folder/charges.jsonl" \
            --when tenant:tenant-0001=card_expired
        ;;
    page)
        set -- page rater serve --web-port "$PAGE_PORT" --clients "$folder/clients.yaml" \
            --replica "$folder/replica.db" --people "$folder/people.yaml"
        ;;
    traffic) set -- traffic "$here/traffic.sh" ;;
    prometheus)
        set -- prometheus prometheus --config.file="$folder/prometheus.yml" \
            --storage.tsdb.path="$folder/prometheus" --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" \
            --enable-feature=exemplar-storage
        ;;
    esac
    part=$1
    shift
    # a session of its own: Ctrl-C reaches this script only, which ends the parts in their order
    session=$(command -v setsid || true)
    $session nohup "$@" </dev/null >>"$folder/$part.log" 2>&1 &
    echo "$!" >"$folder/$part.pid"
    echo "$part: process $!, log $folder/$part.log"
}

signal() { # SIGNAL PART [WHAT WAS DONE]
    id=$(pid_of "$2") || { echo "$2 does not run" && return; }
    kill "-$1" "$id" 2>/dev/null || true
    [ -z "${3:-}" ] || echo "$2: $3"
}

await_end() { # PART
    waited=0
    while id=$(pid_of "$1"); do
        [ "$waited" -lt $((STOP_TIMEOUT_S * 5)) ] || kill -KILL "$id" 2>/dev/null || true
        waited=$((waited + 1))
        sleep 0.2
    done
}

stop() { # PART
    signal CONT "$1" # one that is paused could not end
    if [ "$1" = broker ]; then
        rater dev kafka stop --folder "$KAFKA_FOLDER"
        return
    fi
    signal TERM "$1" >/dev/null
    await_end "$1"
    rm -f "$folder/$1.pid"
    echo "$1: stopped"
}

end() { # everything, in the order in which nothing waits for what is gone already
    trap '' INT TERM HUP
    trap - EXIT
    echo "ending everything"
    rm -f "$folder/environment" # so that a watch in another terminal ends, too, and reports no part
    for part in broker $PARTS; do signal CONT "$part" >/dev/null; done
    for part in $PARTS; do signal TERM "$part" >/dev/null; done
    for part in $PARTS; do
        await_end "$part"
        rm -f "$folder/$part.pid"
    done
    [ -z "$pause" ] || kill "$pause" 2>/dev/null || true
    rater dev kafka stop --folder "$KAFKA_FOLDER" >/dev/null
    echo "everything has ended"
}

let_in() { # the one person who may sign in to the page, an operator
    if [ ! -s "$folder/clients.yaml" ]; then
        (umask 077 && rater serve-token picture >"$folder/client-token" 2>"$folder/client-entry")
        { echo "clients:" && sed 1d "$folder/client-entry"; } >"$folder/clients.yaml"
    fi
    [ -s "$folder/page-token" ] || (umask 077 && rater token create --role operator --person you \
        --people "$folder/people.yaml" >"$folder/page-token" 2>/dev/null)
}

write_environment() { # what a terminal needs, and what the parts are started with
    [ -s "$folder/switches-token" ] \
        || (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$folder/switches-token")
    cat >"$folder/environment" <<-END
	# Read it into a shell: . $folder/environment
	export PATH='$(dirname "$(command -v rater)")':"\$PATH"
	export PICTURE_FOLDER='$folder'
	export KAFKA_FOLDER='$KAFKA_FOLDER' KAFKA_PORT=$KAFKA_PORT
	export WORKER_PORT=$WORKER_PORT AGENTS_PORT=$AGENTS_PORT GATEWAY_PORT=$GATEWAY_PORT PAGE_PORT=$PAGE_PORT
	export PROMETHEUS_PORT=$PROMETHEUS_PORT
	export RATER_BOOTSTRAP=$RATER_BOOTSTRAP
	export RATER_GATEWAY_URL=http://127.0.0.1:$GATEWAY_PORT
	export RATER_SWITCHES_TOKEN_FILE='$folder/switches-token'
	export DECK='$here/../rater/dev/demo/demo-rates.csv' MONTH='$folder/month'
	END
}

configure_prometheus() {
    sed -e "s|rules.yml|$here/prometheus/rules.yml|" \
        -e "s|dns_sd_configs: .*worker.*|static_configs: [{targets: [\"127.0.0.1:$WORKER_PORT\"]}]|" \
        -e "s|dns_sd_configs: .*agents.*|static_configs: [{targets: [\"127.0.0.1:$AGENTS_PORT\"]}]|" \
        "$here/prometheus/prometheus.yml" >"$folder/prometheus.yml"
}

say_commands() {
    cat <<-END

	Type in another terminal, in this folder ($PWD); the first line lets rater find everything:

	    . $typed/environment
	    rater top
	    rater doctor
	    rater dlq ls
	    curl -sS -H "Authorization: Bearer \$(cat $typed/switches-token)" "http://127.0.0.1:$AGENTS_PORT/v1/authorize?tenant=tenant-0000&user=user000000@tenant-0000.example&called=%2B442079460000"

	The page for who pays, an operator sees all tenants: http://127.0.0.1:$PAGE_PORT (answers in half a minute); sign in with $(cat "$folder/page-token")

	Pages: worker http://127.0.0.1:$WORKER_PORT/healthz?verbose  agents http://127.0.0.1:$AGENTS_PORT/healthz?verbose  Prometheus http://127.0.0.1:$PROMETHEUS_PORT (its menu has Alerts)

	Stop a part, and start it again (also: kill, pause, continue, status; docs/operators.md says which alert follows):

	END
    for part in broker $PARTS; do
        printf '    %-36s %s\n' "$0 stop $part" "$0 start $part"
    done
    echo
    echo "Ctrl-C here ends everything."
}

watch() { # say once of each part that it ended by itself
    while :; do
        for part in $PARTS; do
            if [ ! -e "$folder/environment" ]; then
                echo "ended from another terminal"
                trap - EXIT
                exit 0
            fi
            if [ -e "$folder/$part.pid" ] && is_gone "$(cat "$folder/$part.pid")"; then
                rm -f "$folder/$part.pid"
                echo "$part ended by itself: $(tail -n 1 "$folder/$part.log")"
                echo "    start it again: $0 start $part"
            fi
        done
        sleep 2 &
        pause=$!
        wait "$pause"
    done
}

run_all() {
    if [ -e "$folder/environment" ] && [ -n "$(status | grep -v ' stopped$')" ]; then
        echo "$folder: a picture runs here already; $0 status shows its parts, end ends it" >&2
        exit 1
    fi
    trap end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    RATER_BOOTSTRAP=$(start broker)
    write_environment
    . "$folder/environment"
    rater topics apply --partitions 4 >"$folder/topics.log" || {
        cat "$folder/topics.log" >&2
        echo "the broker has topics of something else; this removes them: rater dev kafka stop --forget" >&2
        exit 1
    }
    for part in $PARTS; do rm -f "$folder/$part.log"; done
    configure_prometheus
    let_in
    for part in $PARTS; do
        [ "$part" = prometheus ] && ! command -v prometheus >/dev/null && echo "no Prometheus here" && continue
        start "$part"
    done
    say_commands
    watch
}

status() {
    for part in broker $PARTS; do
        if id=$(pid_of "$part"); then
            paused=""
            case $(ps -p "$id" -o stat=) in T*) paused=", paused" ;; esac
            echo "$part: process $id$paused"
        else
            echo "$part: stopped"
        fi
    done
}

[ "$#" -eq 0 ] || [ ! -e "$folder/environment" ] || . "$folder/environment"
KAFKA_FOLDER=${KAFKA_FOLDER:-.kafka}
KAFKA_PORT=${KAFKA_PORT:-9092}
WORKER_PORT=${WORKER_PORT:-6066}
AGENTS_PORT=${AGENTS_PORT:-6067}
GATEWAY_PORT=${GATEWAY_PORT:-8090}
PAGE_PORT=${PAGE_PORT:-6080}
PROMETHEUS_PORT=${PROMETHEUS_PORT:-9090}
pause="" # the process by which the first script waits
mkdir -p "$KAFKA_FOLDER"
KAFKA_FOLDER=$(cd "$KAFKA_FOLDER" && pwd)
case ${1:-all} in
all) run_all ;;
status) status ;;
end) end ;;
start | stop | kill | pause | continue)
    if [ "$#" -ne 2 ]; then
        echo "expected: $0 $1 PART" >&2
        exit 2
    fi
    [ "$1" = start ] && [ ! -e "$folder/environment" ] && echo "no picture runs; make picture starts one" >&2 && exit 1
    words_of "$2" >/dev/null
    case $1 in
    start | stop) "$1" "$2" ;;
    # traffic has a child that would be left behind
    kill) if [ "$2" = traffic ]; then stop traffic; else signal KILL "$2" killed; fi ;;
    pause) if [ "$2" = traffic ]; then stop traffic; else signal STOP "$2" paused; fi ;;
    continue) if [ "$2" = traffic ]; then start traffic; else signal CONT "$2" continued; fi ;;
    esac
    ;;
*)
    sed -n '3,8p' "$0" >&2
    exit 2
    ;;
esac
