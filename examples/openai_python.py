# A chat through the openai SDK: freezes one context under a name. Another session continues from it and sends only its question.

import os
import time

from openai import OpenAI

model = os.environ.get("MODEL", "tiny")
client = OpenAI(
    base_url=os.environ.get("CWM_URL", "http://127.0.0.1:8787") + "/v1",
    api_key=os.environ.get("CWM_API_KEY", "whatever the engine wants"),
)
# A window name can be used only once, so each run creates its own.
name = f"openai-python-{time.time_ns()}"
contract = "Clause 7: either party may end this contract with thirty days of notice. " * 60

# Today: the model reads the contract. cwm freezes the context after the answer.
client.chat.completions.create(
    model=model,
    max_tokens=16,
    messages=[{"role": "user", "content": contract + "\nSum this up."}],
    extra_headers={"x-cwm-session": name, "x-cwm-freeze": name},
)

# Tomorrow: a new session starts from the window. The first request waits until the freeze is done.
raw = client.chat.completions.with_raw_response.create(
    model=model,
    max_tokens=16,
    messages=[{"role": "user", "content": "What does clause 7 say?"}],
    extra_headers={"x-cwm-session": name + "-2", "x-cwm-window": name},
)
answer = raw.parse()

print(answer.choices[0].message.content)
print(f"{raw.headers['x-cwm-restored']} of {answer.usage.prompt_tokens} tokens did not have to be computed")
