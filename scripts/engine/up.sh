#!/usr/bin/env bash
# Starts Redis (if installed), the LMCache coordinator, one LMCache server, and vLLM on loopback, and returns when vLLM
# answers. This takes one to three minutes on two cores, mostly for imports: start it once and keep it running.
# What already runs is left alone, so that after the kill of one server this starts that server again, and nothing else.
#   MODEL=real   serves SmolLM2-135M as `smollm2` instead of the random model as `tiny`
#   DTYPE        the real model's (default bfloat16); in float32 an answer does not depend on what else is in the batch
#   PAIR=1       a second vLLM and a second LMCache server, with the same coordinator and the same Redis
#   ROUTER=1     vLLM's router before all engines, which it finds sticky by session header (policy consistent_hash)
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
vllm_b_url=http://127.0.0.1:$VLLM_B_PORT
lmcache_b_url=http://127.0.0.1:$LMCACHE_B_HTTP_PORT
router_url=http://127.0.0.1:$ROUTER_PORT
pair=${PAIR:-0} router=${ROUTER:-0}

case ${MODEL:-random} in
  random) model=(./model --served-model-name tiny --dtype float32) ;;
  # Its chat template is not for tools, and its weights are stored in bfloat16.
  real) model=(./smollm2 --served-model-name smollm2 --dtype "${DTYPE:-bfloat16}") ;;
  *) fail "there is no MODEL=$MODEL; random or real" ;;
esac

answers() { curl -sf -o /dev/null --max-time 5 "$1"; }

[ -x "$bin/vllm" ] && [ -e "$ENGINE_HOME/${model[0]}/config.json" ] || fail "${model[0]} or vLLM is missing in $ENGINE_HOME; first: npm run engine:setup"
[ "$router" = 0 ] || [ -x "$ENGINE_HOME/router/bin/vllm-router" ] || fail "no router in $ENGINE_HOME; first: npm run engine:setup"

mkdir -p "$ENGINE_RUN/l2" "$ENGINE_RUN/l2-b"
cd "$ENGINE_HOME" # the model's path is part of every KV key: ./model, whoever starts it
export HF_HUB_OFFLINE=1 LMCACHE_DISABLE_BANNER=1
export VLLM_SERVER_DEV_MODE=1               # enables POST /reset_prefix_cache
export VLLM_ENABLE_RESPONSES_API_STORE=1    # previous_response_id, GET /v1/responses/{id}
export VLLM_CPU_KVCACHE_SPACE=${KV_GIB:-1} VLLM_CPU_OMP_THREADS_BIND=0-$(($(nproc) - 1))

# Starts a server unless it runs. Each leads its own session, so that down.sh can find its workers.
start() { # name, URL of its health check, command…
  local name=$1 url=$2 left
  shift 2
  if alive "$name"; then return; fi
  if answers "$url"; then fail "$url answers, and was not started from $ENGINE_RUN; choose other ports (common.sh) or stop it"; fi
  # Workers of a server that was killed would hold its memory, and its port. Its log is continued.
  if [ -s "$ENGINE_RUN/$name.pid" ]; then
    left=$(members "$(cat "$ENGINE_RUN/$name.pid")")
    # shellcheck disable=SC2086 # one word per pid
    if [ -n "$left" ]; then kill -9 $left 2> /dev/null || true; fi
  else
    rm -f "$ENGINE_RUN/$name.log"
  fi
  say "starting $name"
  setsid "$@" >> "$ENGINE_RUN/$name.log" 2>&1 < /dev/null &
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

# What both LMCache servers reach is marked as shared: the directory then holds one placement for the two of them.
shared_adapter=()
if command -v redis-server > /dev/null; then
  shared_adapter=(--l2-adapter "{\"type\":\"resp\",\"host\":\"127.0.0.1\",\"port\":$REDIS_PORT,\"shared\":true}")
else
  [ "$pair" = 0 ] || fail "no redis-server (apt-get install redis-server): two engines have no L2 in common without it"
  say "no redis-server: L2 is the file system only"
fi

# Coordinator URL, event reporting and joint object groups: docs/engine-behavior.md#server-flags.
start_lmcache() { # name, instance id, port, HTTP port, folder of its fs adapter
  start "$1" "http://127.0.0.1:$4/healthcheck" "$bin/lmcache" server --instance-id "$2" --port "$3" \
    --http-host 127.0.0.1 --http-port "$4" --l1-size-gb 1 --l1-init-size-gb 1 --eviction-policy LRU \
    --supported-transfer-mode auto --no-separate-object-groups --coordinator-url "$coordinator_url" \
    --coordinator-advertise-ip 127.0.0.1 "${reporting[@]}" \
    --l2-adapter "{\"type\":\"fs\",\"base_path\":\"$5\"}" "${shared_adapter[@]}"
}

# The multiprocess connector, because the in-process one does not isolate: docs/engine-behavior.md#connector. The timeout, because
# with the default of 300 s an engine hangs and dies with its LMCache server: docs/engine-behavior.md#lost-servers.
connector_to() { # port of the LMCache server
  # It stores nothing on a CPU, without an error: docs/engine-behavior.md#connector.
  if [ "${FAULT:-}" = in-process-connector ]; then
    echo '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}'
    return
  fi
  cat << JSON
{"kv_connector": "LMCacheMPConnector", "kv_connector_module_path": "lmcache.integration.vllm.lmcache_mp_connector",
 "kv_role": "kv_both", "kv_connector_extra_config": {"lmcache.mp.host": "tcp://localhost", "lmcache.mp.port": $1, "lmcache.mp.mq_timeout": 30}}
JSON
}

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

# Eager mode, because compiling takes longer than all the rest of the start.
start_vllm() { # name, port, port of its LMCache server
  start "$1" "http://127.0.0.1:$2/health" "$bin/vllm" serve "${model[@]}" --host 127.0.0.1 --port "$2" --enforce-eager \
    --max-model-len "${MAX_LEN:-4096}" --enable-prefix-caching "${details[@]}" \
    "${task[@]}" --disable-hybrid-kv-cache-manager \
    --kv-transfer-config "$(connector_to "$3")" "${positions[@]}" "${answers_cut[@]}" "${scale_out[@]}"
}

# Beside these, its defaults. Health checks each minute would let tests wait for minutes.
start_router() {
  local workers=("$vllm_url")
  if [ "$pair" = 1 ]; then workers+=("$vllm_b_url"); fi
  start router "$router_url/v1/models" "$ENGINE_HOME/router/bin/vllm-router" --host 127.0.0.1 --port "$ROUTER_PORT" \
    --worker-urls "${workers[@]}" --policy consistent_hash --health-check-interval-secs 5 \
    --prometheus-host 127.0.0.1 --prometheus-port "$ROUTER_METRICS_PORT" --log-level warning
}

if [ ${#shared_adapter[@]} -gt 0 ]; then
  # Redis speaks no HTTP: the URL never answers, and nothing waits for it.
  start redis "http://127.0.0.1:$REDIS_PORT" redis-server --port "$REDIS_PORT" --save '' --bind 127.0.0.1 --dir "$ENGINE_RUN"
fi
start coordinator "$coordinator_url/healthz" "$bin/lmcache" coordinator --host 127.0.0.1 --port "$COORDINATOR_PORT" \
  --metadata-path "$ENGINE_RUN/coordinator.meta" --checkpoint-path "$ENGINE_RUN/coordinator.ckpt" --checkpoint-interval 5 "${coordinator_fault[@]}"
wait_for coordinator "$coordinator_url/healthz" 180

start_lmcache lmcache node-a "$LMCACHE_PORT" "$LMCACHE_HTTP_PORT" "$ENGINE_RUN/l2"
if [ "$pair" = 1 ]; then start_lmcache lmcache-b node-b "$LMCACHE_B_PORT" "$LMCACHE_B_HTTP_PORT" "$ENGINE_RUN/l2-b"; fi
wait_for lmcache "$lmcache_url/healthcheck" 180
start_vllm vllm "$VLLM_PORT" "$LMCACHE_PORT"
if [ "$pair" = 1 ]; then
  wait_for lmcache-b "$lmcache_b_url/healthcheck" 180
  start_vllm vllm-b "$VLLM_B_PORT" "$LMCACHE_B_PORT"
fi
wait_for vllm "$vllm_url/health" 900
say "up: vLLM $vllm_url  LMCache $lmcache_url  coordinator $coordinator_url"
if [ "$pair" = 1 ]; then
  wait_for vllm-b "$vllm_b_url/health" 900
  say "up: vLLM $vllm_b_url  LMCache $lmcache_b_url"
fi
if [ "$router" = 1 ]; then
  start_router
  wait_for router "$router_url/v1/models" 180
  say "up: vllm-router $router_url"
fi
