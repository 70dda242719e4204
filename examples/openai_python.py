# A chat through the openai SDK: one context is frozen under a name, and another session goes on from it, sending only its question.

import os

from openai import OpenAI

model = os.environ.get("MODEL", "tiny")
client = OpenAI(
    base_url=os.environ.get("CWM_URL", "http://127.0.0.1:8787") + "/v1",
    api_key=os.environ.get("CWM_API_KEY", "whatever the engine wants"),
)
contract = "Clause 7: either party may end this contract with thirty days of notice. " * 60

# Today: the model reads the contract. When the answer is out, the context is frozen.
client.chat.completions.create(
    model=model,
    max_tokens=16,
    messages=[{"role": "user", "content": contract + "\nSum this up."}],
    extra_headers={"x-cwm-session": "openai-python", "x-cwm-freeze": "openai-python"},
)

# Tomorrow: a new session stands behind the window. The first request waits until the freeze is done.
raw = client.chat.completions.with_raw_response.create(
    model=model,
    max_tokens=16,
    messages=[{"role": "user", "content": "What does clause 7 say?"}],
    extra_headers={"x-cwm-session": "openai-python-2", "x-cwm-window": "openai-python"},
)
answer = raw.parse()

print(answer.choices[0].message.content)
print(f"{raw.headers['x-cwm-restored']} of {answer.usage.prompt_tokens} tokens did not have to be computed")
