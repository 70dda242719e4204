# A recursive loop with the standard library only. A model that has not read the texts asks windows that have (llm_query), and asks
# again based on their answers, until it can answer the question. The idea is from Recursive Language Models (arXiv 2512.24601).

import json
import os
import re
import urllib.request

cwm = os.environ.get("CWM_URL", "http://127.0.0.1:8787")
model = os.environ.get("MODEL", "tiny")
key = os.environ.get("CWM_API_KEY", "whatever the engine wants")
ferries = {"oslo": "seven", "bergen": "nine", "tromso": "eleven"}
question = "Which ferry leaves first?"
ROUNDS = 4

restored = prompts = 0


def call(method, path, body):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(cwm + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def llm_query(window, question):
    """Asks one window: loads its KV instead of computing it, and adds nothing to the window."""
    global restored, prompts
    body = {"question": question, "instructions": "Answer in one sentence.", "max_tokens": 32}
    answer = call("POST", f"/cwm/v1/windows/{window}/ask", body)
    restored += answer["receipt"]["restored_tokens"]
    prompts += answer["usage"]["prompt_tokens"]
    return answer["answer"]


def think(messages):
    """One reply of the model that leads the search."""
    body = {"model": model, "max_tokens": 64, "messages": messages}
    return call("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]


windows = [f"ferry-{town}" for town in ferries]
for town, hour in ferries.items():
    text = f"The ferry from {town} leaves at {hour} in the morning, and the crossing is calm. " * 110
    call("PUT", f"/cwm/v1/windows/ferry-{town}", {"model": model, "document": text, "tags": ["ferries"]})

rules = (
    f"You answer a question about texts that you cannot see. Their names: {', '.join(windows)}. "
    "Reply with lines of the form `ASK name: question` to ask a text, or with one line `ANSWER: answer`."
)
messages = [{"role": "system", "content": rules}, {"role": "user", "content": question}]
for _ in range(ROUNDS):
    reply = think(messages)
    if "ANSWER:" in reply:
        break
    asked = [pair for pair in re.findall(r"^ASK (\S+): (.+)$", reply, re.MULTILINE) if pair[0] in windows]
    # If the model is too small to follow the rules, ask every text.
    asked = asked or [(window, question) for window in windows]
    found = [f"{window}: {llm_query(window, sub)}" for window, sub in asked]
    messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": "\n".join(found)}]

print(reply.split("ANSWER:")[-1].strip())
if prompts:
    print(f"{restored} of {prompts} tokens did not have to be computed")
