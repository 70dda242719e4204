#!/usr/bin/env bash
# Loads a long document once, without a chat. Several readers then ask about it, and each sends only a question.
set -euo pipefail

cwm=${CWM_URL:-http://127.0.0.1:8787}
auth="authorization: Bearer ${CWM_API_KEY:-whatever the engine wants}"
json='content-type: application/json'
model=${MODEL:-tiny}
document=${1:-LICENSE}

jq -n --rawfile text "$document" --arg model "$model" '{model: $model, document: ($text + $text), tags: ["law"]}' |
  curl -sS --fail-with-body -X PUT "$cwm/cwm/v1/windows/document" -H "$auth" -H "$json" -d @- | jq '{state, receipt: .receipt | {tokens, durability}}'

for reader in ann bo eve; do
  jq -n --arg model "$model" '{model: $model, max_tokens: 16, messages: [{role: "user", content: "May I sell copies?"}]}' |
    curl -sS --fail-with-body "$cwm/v1/chat/completions" -H "$auth" -H "$json" -d @- \
      -H "x-cwm-session: document-$reader" -H 'x-cwm-window: document' |
    jq -r --arg reader "$reader" '"\($reader): \(.usage.prompt_tokens_details.cached_tokens) of \(.usage.prompt_tokens) tokens did not have to be computed"'
done
