# shellcheck shell=bash disable=SC2034
# What setup.sh, up.sh and down.sh share: where things are, and how they speak. Sourced, never run.
#   ENGINE_HOME  what setup.sh installs: virtual environment and model     (default ~/.cache/cwm-engine)
#   ENGINE_RUN   what a running stack writes: pids, logs, LMCache's L2     (default $ENGINE_HOME/run)
# Two stacks may run from one ENGINE_HOME, each with an ENGINE_RUN and ports of its own.
ENGINE_HOME=${ENGINE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/cwm-engine}
ENGINE_RUN=${ENGINE_RUN:-$ENGINE_HOME/run}
VLLM_PORT=${VLLM_PORT:-8000}
LMCACHE_HTTP_PORT=${LMCACHE_HTTP_PORT:-8080}
LMCACHE_PORT=${LMCACHE_PORT:-5555}
COORDINATOR_PORT=${COORDINATOR_PORT:-9300}
REDIS_PORT=${REDIS_PORT:-6390}

VLLM_VERSION=0.32.0
LMCACHE_VERSION=0.5.6
TORCH_VERSION=2.13.0

say() { printf 'engine: %s\n' "$*"; }
fail() {
  printf 'engine: %s\n' "$@" >&2
  exit 1
}

# Whether the server that a pid file names is alive. It leads a session of its own; a process that only came to have its number
# after a restart of the machine hardly does.
alive() {
  local file=$ENGINE_RUN/$1.pid pid
  [ -s "$file" ] || return 1
  pid=$(cat "$file")
  [ "$(ps -o sid= -p "$pid" 2> /dev/null | tr -d ' ')" = "$pid" ]
}
