# shellcheck shell=bash disable=SC2034
# Shared by setup.sh, up.sh, and down.sh: paths, ports, and output. Sourced, never run.
#   ENGINE_HOME  installation of setup.sh: virtual environment and model   (default ~/.cache/cwm-engine)
#   ENGINE_RUN   files of a running stack: pids, logs, LMCache's L2        (default $ENGINE_HOME/run)
# Two stacks can run from one ENGINE_HOME, each with its own ENGINE_RUN and ports. The second engine of a stack (PAIR=1) and its router
# (ROUTER=1) have ports of their own.
ENGINE_HOME=${ENGINE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/cwm-engine}
ENGINE_RUN=${ENGINE_RUN:-$ENGINE_HOME/run}
VLLM_PORT=${VLLM_PORT:-8000}
LMCACHE_HTTP_PORT=${LMCACHE_HTTP_PORT:-8080}
LMCACHE_PORT=${LMCACHE_PORT:-5555}
COORDINATOR_PORT=${COORDINATOR_PORT:-9300}
REDIS_PORT=${REDIS_PORT:-6390}
VLLM_B_PORT=${VLLM_B_PORT:-8100}
LMCACHE_B_HTTP_PORT=${LMCACHE_B_HTTP_PORT:-8180}
LMCACHE_B_PORT=${LMCACHE_B_PORT:-5655}
ROUTER_PORT=${ROUTER_PORT:-8200}
ROUTER_METRICS_PORT=${ROUTER_METRICS_PORT:-8290}

VLLM_VERSION=0.32.0
LMCACHE_VERSION=0.5.6
TORCH_VERSION=2.13.0
SMOLLM2_VERSION=0.1.2
GGUF_VERSION=0.19.0
ACCELERATE_VERSION=1.15.0
ROUTER_VERSION=0.1.17

say() { printf 'engine: %s\n' "$*"; }
fail() {
  printf 'engine: %s\n' "$@" >&2
  exit 1
}

# Whether the server of a pid file is alive. It leads its own session, which a process that happens to reuse the pid after a reboot
# is unlikely to do.
alive() {
  local file=$ENGINE_RUN/$1.pid pid sid state
  [ -s "$file" ] || return 1
  pid=$(cat "$file")
  read -r sid state < <(ps -o sid=,stat= -p "$pid" 2> /dev/null) || return 1
  [ "$sid" = "$pid" ] && [ "${state:0:1}" != Z ]
}

# All processes in the session that up.sh created for a server. The session id is the server's pid.
members() { ps -e -o pid=,sid=,stat= | awk -v session="$1" '$2 == session && $3 !~ /^Z/ { print $1 }'; }
