"""Writes the HTTP API of the installed vLLM to test/recorded/vllm-openapi.json: one document per kind of server, reduced to paths, methods, and
the body fields that matter to a gateway. It builds each server's app from vLLM's own routers, so no model is loaded and no core is kept busy.

  python scripts/engine/record-openapi.py OUT     one process per server, because routers read the environment when they are built
"""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

# Fields that name or reach a cache, another request, or another server.
MATTERS = re.compile(
    r"salt|kv_|ec_|transfer|request_id|priority|rank|xargs|extra_args|embeds|features|uuid|parts|session|response_id|hint|^model$|sampling_params$"
)


def pooling(task, num_labels=1):
    return SimpleNamespace(
        get_pooling_task=lambda tasks: task, hf_config=SimpleNamespace(num_labels=num_labels), architecture="Any"
    )


# Name: tasks, flags, environment, model.
SERVERS = {
    "text": (("generate",), [], {}, None),
    "pooling": (("embed",), [], {}, pooling("embed")),
    "classify": (("classify",), [], {}, pooling("classify")),
    "speech": (("transcription", "realtime"), [], {}, None),
    "scale-out": (("generate",), ["--enable-scale-out"], {}, None),
    "tokens-only": (("generate",), ["--tokens-only"], {}, None),
    "development": (
        ("generate",),
        ["--enable-tokenizer-info-endpoint", "--enable-fault-tolerance", "--enable-lora"],
        {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"},
        None,
    ),
}


def variants(schema, components):
    """The object schemas that a body may match."""
    while "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return [leaf for branch in schema[key] for leaf in variants(branch, components)]
    return [schema]


def fields_of(operation, components):
    content = operation.get("requestBody", {}).get("content", {})
    for media, body in content.items():
        found = [set(leaf.get("properties", {})) for leaf in variants(body.get("schema", {}), components)]
        named = {name for names in found for name in names if MATTERS.search(name)}
        # A trailing "?" marks a field that only some of the accepted bodies have.
        shown = sorted(name if all(name in names for names in found) else f"{name}?" for name in named)
        return {"body": media, "fields": shown}
    return {}


def describe(app):
    document = app.openapi()
    components = document.get("components", {}).get("schemas", {})
    paths = {}
    for path, operations in document["paths"].items():
        entry = {"methods": sorted(method.upper() for method in operations)}
        for operation in operations.values():
            entry.update(fields_of(operation, components))
        paths[path] = entry
    for route in app.routes:
        if route.path in paths:
            continue
        methods = sorted(getattr(route, "methods", None) or [])
        kind = "mount" if type(route).__name__ == "Mount" else "websocket" if not methods else "hidden"
        paths[route.path] = {"methods": methods, "not_in_openapi": kind}
    return dict(sorted(paths.items()))


def one(name):
    from vllm.entrypoints.launchers.app import build_app
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    tasks, flags, _, model = SERVERS[name]
    args = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", "any", *flags])
    return describe(build_app(args, tasks, model))


def main(out):
    servers = {}
    for name, (_, _, env, _) in SERVERS.items():
        ran = subprocess.run(
            [sys.executable, __file__, "--one", name], env={**os.environ, **env}, check=True, stdout=subprocess.PIPE
        )
        servers[name] = json.loads(ran.stdout.splitlines()[-1])
    from importlib.metadata import version

    head = {"vllm": version("vllm").split("+")[0], "recorded_by": "npm run engine:record-openapi"}
    with open(out, "w") as file:
        file.write("{\n" + "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()))
        blocks = []
        for name, paths in servers.items():
            lines = ",\n".join(f"   {json.dumps(path)}: {json.dumps(entry)}" for path, entry in paths.items())
            blocks.append(f"  {json.dumps(name)}: {{\n{lines}\n  }}")
        file.write(' "servers": {\n' + ",\n".join(blocks) + "\n }\n}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(one(sys.argv[2])))
    else:
        main(sys.argv[1])
