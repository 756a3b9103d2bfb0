#!/bin/sh
# Becomes `lograft "$@"` with its memory fitted to the container's limit: of it two fifths for the heap, a quarter at most
# for requests that are not answered yet, an eighth at most for the newest records; the rest is for code and for what comes
# and goes. What the environment already says is left alone, and without a limit nothing is set.
set -eu

# Overwritten by the tests only.
cgroup=${CGROUP_ROOT:-/sys/fs/cgroup}
readonly MIB=1048576

limit_mib() {
  # Version 2 of cgroups, then version 1.
  for file in "$cgroup/memory.max" "$cgroup/memory/memory.limit_in_bytes"; do
    [ -r "$file" ] || continue
    read -r bytes <"$file" || true
    case $bytes in
      '' | *[!0-9]*) ;; # "max"
      # Version 1 says "no limit" as a number near 2^63.
      ????????????????*) ;;
      *) echo $((bytes / MIB)) ;;
    esac
    return
  done
}

at_most() {
  if [ "$1" -lt "$2" ]; then echo "$1"; else echo "$2"; fi
}

heap=
limit=$(limit_mib)
if [ -n "$limit" ]; then
  case ${NODE_OPTIONS:-} in
    *max-old-space-size* | *max_old_space_size*) ;;
    *) heap=--max-old-space-size=$((limit * 2 / 5)) ;;
  esac
  : "${LOGRAFT_SERVER_MAX_INFLIGHT_BYTES:=$(at_most $((limit * MIB / 4)) $((256 * MIB)))}"
  : "${LOGRAFT_STORAGE_CACHE_BYTES:=$(at_most $((limit * MIB / 8)) $((128 * MIB)))}"
  export LOGRAFT_SERVER_MAX_INFLIGHT_BYTES LOGRAFT_STORAGE_CACHE_BYTES
fi

# One set of variables for all brokers of a StatefulSet: who is not among the voters joins the cluster that they founded.
voters=${LOGRAFT_CONTROLLER_QUORUM_VOTERS:-}
if [ -n "$voters" ] && [ -n "${LOGRAFT_NODE_ID:-}" ]; then
  case ",$voters" in
    *",$LOGRAFT_NODE_ID@"*) ;;
    *)
      : "${LOGRAFT_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS:=$(echo "$voters" | sed 's/[0-9]*@//g')}"
      export LOGRAFT_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS
      unset LOGRAFT_CONTROLLER_QUORUM_VOTERS
      ;;
  esac
fi

unset CGROUP_ROOT
# shellcheck disable=SC2086 # Empty: no argument.
exec node $heap /opt/lograft/dist/cli/main.js "$@"
