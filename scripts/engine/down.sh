#!/usr/bin/env bash
# Stops what up.sh started, including workers, by the pid files: vLLM's engine is a separate process that may survive a plain
# kill of the server. With --forget, also removes what LMCache stored. For ENGINE_RUN see common.sh.
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"
PATIENCE=20 # seconds for a graceful stop

stop() {
  local name=$1 file=$ENGINE_RUN/$1.pid session pids waited=0
  [ -s "$file" ] || return 0
  session=$(cat "$file")
  pids=$(members "$session")
  if [ -n "$pids" ]; then
    say "stopping $name"
    # shellcheck disable=SC2086 # one word per pid
    kill $pids 2> /dev/null || true
    while pids=$(members "$session") && [ -n "$pids" ] && [ "$waited" -lt "$PATIENCE" ]; do
      sleep 1
      waited=$((waited + 1))
    done
    # shellcheck disable=SC2086
    if [ -n "$pids" ]; then kill -9 $pids 2> /dev/null || true; fi
  fi
  rm -f "$file"
}

found=
for name in router vllm-b vllm lmcache-b lmcache coordinator redis; do
  if [ -s "$ENGINE_RUN/$name.pid" ]; then found=1; fi
  stop "$name"
done
if [ -n "$found" ]; then say "down"; else say "nothing was running from $ENGINE_RUN"; fi

if [ "${1:-}" = --forget ]; then
  rm -rf "$ENGINE_RUN/l2" "$ENGINE_RUN/l2-b" "$ENGINE_RUN/coordinator.ckpt" "$ENGINE_RUN/coordinator.meta"
  say "removed what LMCache stored"
fi
