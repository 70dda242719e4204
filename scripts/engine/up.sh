#!/usr/bin/env bash
# Starts Redis (if installed), the LMCache coordinator, one LMCache server, and vLLM on loopback, and returns when vLLM
# answers. This takes three to four minutes on two cores, mostly for imports: start it once and keep it running.
#   MAX_LEN      the model's context limit in tokens (default 4096); a coding agent such as Claude Code needs 40000
#   MAX_OUTPUT   maximum tokens of an answer (default: only the context limit); the model's noise hardly ever ends
#   SCALE_OUT=1  starts vLLM with --enable-scale-out, for the /v1/*/render endpoints
#   POOLING=1    serves the model as a pooling model (embed), for /v1/embeddings, /v1/score and /v1/rerank; it then has no chat
#   KV_GIB       memory of vLLM's own cache (default 1)
#   FAULT        a misconfiguration for cwm doctor to find: chunk-size, no-usage-details, no-event-reporting, or
#                in-process-connector (npm run test:engine:faults)
# For ENGINE_HOME, ENGINE_RUN, and the ports see common.sh.
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"
bin=$ENGINE_HOME/venv/bin
vllm_url=http://127.0.0.1:$VLLM_PORT
lmcache_url=http://127.0.0.1:$LMCACHE_HTTP_PORT
coordinator_url=http://127.0.0.1:$COORDINATOR_PORT

answers() { curl -sf -o /dev/null --max-time 5 "$1"; }

[ -x "$bin/vllm" ] && [ -e "$ENGINE_HOME/model/config.json" ] || fail "nothing is installed in $ENGINE_HOME; first: npm run engine:setup"
if alive vllm && answers "$vllm_url/health"; then
  say "already up: vLLM $vllm_url  LMCache $lmcache_url  coordinator $coordinator_url"
  exit 0
fi
for name in vllm lmcache coordinator redis; do
  if alive "$name"; then fail "$name is running (pid $(cat "$ENGINE_RUN/$name.pid")) but the stack is not up; first: npm run engine:down"; fi
done
for url in "$vllm_url/health" "$lmcache_url/healthcheck" "$coordinator_url/healthz"; do
  if answers "$url"; then fail "$url answers, and was not started from $ENGINE_RUN; choose other ports (common.sh) or stop it"; fi
done

mkdir -p "$ENGINE_RUN/l2"
cd "$ENGINE_HOME" # the model's path is part of every KV key: ./model, whoever starts it
export HF_HUB_OFFLINE=1 LMCACHE_DISABLE_BANNER=1
export VLLM_SERVER_DEV_MODE=1               # enables POST /reset_prefix_cache
export VLLM_ENABLE_RESPONSES_API_STORE=1    # previous_response_id, GET /v1/responses/{id}
export VLLM_CPU_KVCACHE_SPACE=${KV_GIB:-1} VLLM_CPU_OMP_THREADS_BIND=0-$(($(nproc) - 1))

# Each process leads its own session, so that down.sh can find its workers.
start() { # name, command…
  local name=$1
  shift
  say "starting $name"
  setsid "$@" > "$ENGINE_RUN/$name.log" 2>&1 < /dev/null &
  echo $! > "$ENGINE_RUN/$name.pid"
  # The session starts a moment later. A check before that would take a starting server for one that has ended.
  until alive "$name" || ! kill -0 $! 2> /dev/null; do sleep 0.05; done
}

wait_for() { # name, url, seconds
  local name=$1 url=$2 limit=$3 waited=0
  until answers "$url"; do
    alive "$name" || fail "$name ended; the last of its log ($ENGINE_RUN/$name.log):" "$(tail -n 15 "$ENGINE_RUN/$name.log")"
    [ "$waited" -lt "$limit" ] || fail "no answer from $url in $limit s; see $ENGINE_RUN/$name.log"
    sleep 1
    waited=$((waited + 1))
    if [ $((waited % 30)) -eq 0 ]; then say "waiting for $name: $waited s"; fi
  done
}

coordinator_fault=()
reporting=(--coordinator-event-reporting)
details=(--enable-prompt-tokens-details)
case ${FAULT:-} in
  '' | in-process-connector) ;;
  chunk-size) coordinator_fault=(--chunk-size 128) ;;
  no-event-reporting) reporting=() ;;
  no-usage-details) details=() ;;
  *) fail "there is no fault $FAULT" ;;
esac

adapters=(--l2-adapter "{\"type\":\"fs\",\"base_path\":\"$ENGINE_RUN/l2\"}")
if command -v redis-server > /dev/null; then
  start redis redis-server --port "$REDIS_PORT" --save '' --bind 127.0.0.1 --dir "$ENGINE_RUN"
  adapters+=(--l2-adapter "{\"type\":\"resp\",\"host\":\"127.0.0.1\",\"port\":$REDIS_PORT}")
else
  say "no redis-server: L2 is the file system only"
fi

start coordinator "$bin/lmcache" coordinator --host 127.0.0.1 --port "$COORDINATOR_PORT" \
  --metadata-path "$ENGINE_RUN/coordinator.meta" --checkpoint-path "$ENGINE_RUN/coordinator.ckpt" --checkpoint-interval 5 "${coordinator_fault[@]}"
wait_for coordinator "$coordinator_url/healthz" 180

# Coordinator URL, event reporting and joint object groups: docs/engine-behavior.md#server-flags.
start lmcache "$bin/lmcache" server --instance-id node-a --port "$LMCACHE_PORT" \
  --http-host 127.0.0.1 --http-port "$LMCACHE_HTTP_PORT" --l1-size-gb 1 --l1-init-size-gb 1 --eviction-policy LRU \
  --supported-transfer-mode auto --no-separate-object-groups --coordinator-url "$coordinator_url" \
  --coordinator-advertise-ip 127.0.0.1 "${reporting[@]}" "${adapters[@]}"
wait_for lmcache "$lmcache_url/healthcheck" 180

# The multiprocess connector, because the in-process one does not isolate: docs/engine-behavior.md#connector.
connector=$(
  cat << JSON
{"kv_connector": "LMCacheMPConnector", "kv_connector_module_path": "lmcache.integration.vllm.lmcache_mp_connector",
 "kv_role": "kv_both", "kv_connector_extra_config": {"lmcache.mp.host": "tcp://localhost", "lmcache.mp.port": $LMCACHE_PORT}}
JSON
)
# It stores nothing on a CPU, without an error: docs/engine-behavior.md#connector.
if [ "${FAULT:-}" = in-process-connector ]; then connector='{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}'; fi
# make_model.py gives the model 16,384 positions. A random model works as well beyond them, but without this, vLLM crashes there.
positions=()
if [ "${MAX_LEN:-0}" -gt 16384 ]; then positions=(--hf-overrides "{\"max_position_embeddings\": $MAX_LEN}"); fi
answers_cut=()
if [ -n "${MAX_OUTPUT:-}" ]; then answers_cut=(--override-generation-config "{\"max_new_tokens\": $MAX_OUTPUT}"); fi
scale_out=()
if [ "${SCALE_OUT:-0}" = 1 ]; then scale_out=(--enable-scale-out); fi
# A causal model pools its last token, so that prefix caching works as it does for chat.
task=(--enable-auto-tool-choice --tool-call-parser hermes)
if [ "${POOLING:-0}" = 1 ]; then task=(--runner pooling --convert embed); fi
start vllm "$bin/vllm" serve ./model --served-model-name tiny --host 127.0.0.1 --port "$VLLM_PORT" \
  --max-model-len "${MAX_LEN:-4096}" --dtype float32 --enable-prefix-caching "${details[@]}" \
  "${task[@]}" --disable-hybrid-kv-cache-manager \
  --kv-transfer-config "$connector" "${positions[@]}" "${answers_cut[@]}" "${scale_out[@]}"
wait_for vllm "$vllm_url/health" 900
say "up: vLLM $vllm_url  LMCache $lmcache_url  coordinator $coordinator_url"
