"""Shared by all runners in Python: reads the cases, runs each variant, and prints to stdout what an SDK refused to do."""

import json
import sys
import urllib.parse
import urllib.request

SCHEMAS = {
    "weather": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "clock": {"type": "object", "properties": {}},
}


def run(variants):
    """Runs `variants[name] = (dialect, echo, only)` for each case. Exceptions are recorded, and not fatal."""
    url = sys.argv[1]
    with urllib.request.urlopen(f"{url}/cases") as answer:
        told = json.load(answer)
    unsent = []
    for name, (dialect, echo, only) in variants.items():
        for case in told["cases"]:
            if case["dialect"] != dialect or (only is not None and not only(case)):
                continue
            one = {**case, "nextQuestion": told["nextQuestion"], "toolResult": told["toolResult"]}
            try:
                echo(one, f"{url}/{urllib.parse.quote(name)}/{urllib.parse.quote(case['name'])}")
            except Exception as error:
                why = str(error).encode("utf-8", "backslashreplace").decode().split("\n")[0][:200]
                unsent.append(
                    {"dialect": dialect, "variant": name, "case": case["name"], "why": f"{type(error).__name__}: {why}"}
                )
    print(json.dumps(unsent))


def spoken(one):
    """Whether the reply is text without tool calls."""
    return "text" in one["reply"] and "calls" not in one["reply"]


def chat_tools():
    return [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in SCHEMAS.items()]


def chat_content(one):
    user = one["user"]
    if len(user) == 1:
        return user[0]["text"]
    return [
        {"type": "text", "text": part["text"]}
        if "text" in part
        else {"type": "image_url", "image_url": {"url": part["image"]}}
        for part in user
    ]
