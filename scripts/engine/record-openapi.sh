#!/usr/bin/env bash
# Records the HTTP API of the installed vLLM into test/recorded/vllm-openapi.json. No model is loaded and nothing is started; four minutes.
# For ENGINE_HOME see common.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"
[ -x "$ENGINE_HOME/venv/bin/python" ] || fail "nothing is installed in $ENGINE_HOME; first: npm run engine:setup"
exec "$ENGINE_HOME/venv/bin/python" "$here/record-openapi.py" "$here/../../test/recorded/vllm-openapi.json"
