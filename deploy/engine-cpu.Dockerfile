# vLLM and LMCache on a CPU with SmolLM2-135M, for a try: the installation that cwm's own tests use. About 7 GB.
FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends curl g++ libnuma1 procps && rm -rf /var/lib/apt/lists/*
COPY scripts/engine /setup
ENV ENGINE_HOME=/engine
RUN bash /setup/setup.sh
ENV PATH=/engine/venv/bin:$PATH HF_HUB_OFFLINE=1 LMCACHE_DISABLE_BANNER=1
# The model's path is part of every KV key.
WORKDIR /engine
