# Many windows answer one question, through the openai SDK. The base URL with their tag serves a model that has read all of them.

import json
import os
import urllib.request

from openai import OpenAI

cwm = os.environ.get("CWM_URL", "http://127.0.0.1:8787")
model = os.environ.get("MODEL", "tiny")
key = os.environ.get("CWM_API_KEY", "whatever the engine wants")
ferries = {"oslo": "seven", "bergen": "nine", "tromso": "eleven"}

# Once: each text becomes a window with the same tag. An existing window with the same text is kept.
for town, hour in ferries.items():
    text = f"The ferry from {town} leaves at {hour} in the morning, and the crossing is calm. " * 110
    body = json.dumps({"model": model, "document": text, "tags": ["ferries"]}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    urllib.request.urlopen(
        urllib.request.Request(f"{cwm}/cwm/v1/windows/ferry-{town}", body, headers, method="PUT")
    ).read()

# Afterwards: each question goes to all of them, and the reply combines their answers.
client = OpenAI(base_url=f"{cwm}/cwm/a/ferries/v1", api_key=key)
stream = client.chat.completions.create(
    model="ask:ferries",
    max_tokens=32,
    messages=[{"role": "user", "content": "Which ferry leaves first?"}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    for choice in chunk.choices:
        # One line for each window as soon as it has answered.
        print(getattr(choice.delta, "reasoning", None) or "", end="")
        print(choice.delta.content or "", end="")
    if chunk.usage:
        usage = chunk.usage
print()
print(f"{usage.prompt_tokens_details.cached_tokens} of {usage.prompt_tokens} tokens did not have to be computed")
