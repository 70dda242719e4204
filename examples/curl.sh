#!/usr/bin/env bash
# With curl and jq: freezes a turn and shows the receipt, continues in another session, then deletes everything with receipts.
set -euo pipefail

cwm=${CWM_URL:-http://127.0.0.1:8787}
auth="authorization: Bearer ${CWM_API_KEY:-whatever the engine wants}"
json='content-type: application/json'
contract=$(printf 'Clause 7: either party may end this contract with thirty days of notice. %.0s' {1..60})

ask() { jq -n --arg model "${MODEL:-tiny}" --arg text "$1" '{model: $model, max_tokens: 16, messages: [{role: "user", content: $text}]}'; }
chat() { ask "$1" | curl -sS --fail-with-body "$cwm/v1/chat/completions" -H "$auth" -H "$json" -d @- "${@:2}"; }

chat "$contract Sum this up." -H 'x-cwm-session: curl' -H 'x-cwm-freeze: curl' | jq -r '.choices[0].message.content'
curl -sS --fail-with-body "$cwm/cwm/v1/windows/curl?wait_ms=20000" -H "$auth" | jq '{state, receipt: .receipt | {tokens, restorable_tokens, durability}}'

chat 'What does clause 7 say?' -H 'x-cwm-session: curl-2' -H 'x-cwm-window: curl' | jq -r '.choices[0].message.content'
curl -sS --fail-with-body "$cwm/cwm/v1/sessions/curl-2" -H "$auth" |
  jq -r '"\(.thaw.restored_tokens) of \(.usage.prompt_tokens) tokens did not have to be computed"'

# KV that nothing else uses is deleted from every tier. The last receipt counts it.
for thing in sessions/curl sessions/curl-2 windows/curl; do
  curl -sS --fail-with-body -X DELETE "$cwm/cwm/v1/$thing" -H "$auth" | jq -c '{name, deleted_chunks, residual_chunks, kept_for}'
done
