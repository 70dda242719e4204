# shellcheck shell=bash disable=SC2034
# Shared by setup.sh, up.sh, and down.sh: paths, ports, and output. Sourced, never run.
#   ENGINE_HOME  installation of setup.sh: virtual environment and model   (default ~/.cache/cwm-engine)
#   ENGINE_RUN   files of a running stack: pids, logs, LMCache's L2        (default $ENGINE_HOME/run)
# Two stacks can run from one ENGINE_HOME, each with its own ENGINE_RUN and ports.
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

# Whether the server of a pid file is alive. It leads its own session, which a process that happens to reuse the pid after a reboot
# is unlikely to do.
alive() {
  local file=$ENGINE_RUN/$1.pid pid
  [ -s "$file" ] || return 1
  pid=$(cat "$file")
  [ "$(ps -o sid= -p "$pid" 2> /dev/null | tr -d ' ')" = "$pid" ]
}
