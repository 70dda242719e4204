"""`litellm` as an SDK, by its `openai/` and `hosted_vllm/` providers: the message object, and what `stream_chunk_builder` makes of chunks."""

import os

# Otherwise it downloads its table of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from common import chat_content, chat_tools, run  # noqa: E402

litellm.suppress_debug_info = True
litellm.telemetry = False


def echoing(provider, get):
    def echo(one, base):
        tools = {"tools": chat_tools()} if one["tools"] else {}
        body = {"model": f"{provider}/tiny", "api_base": f"{base}/v1", "api_key": "k", "max_retries": 0, **tools}
        messages = [{"role": "system", "content": one["system"]}, {"role": "user", "content": chat_content(one)}]
        message = get({**body, "messages": messages})
        calls = message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": one["toolResult"]} for call in calls]
        messages += [message, *(results or [{"role": "user", "content": one["nextQuestion"]}])]
        litellm.completion(**body, messages=messages)

    return echo


def create(body):
    return litellm.completion(**body).choices[0].message


def stream(body):
    chunks = list(litellm.completion(**body, stream=True))
    return litellm.stream_chunk_builder(chunks, messages=body["messages"]).choices[0].message


run(
    {
        f"{provider}, {name}": ("chat", echoing(provider, get), None)
        for provider in ("openai", "hosted_vllm")
        for name, get in (("create", create), ("stream", stream))
    }
)
