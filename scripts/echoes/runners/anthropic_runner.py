"""The `anthropic` package of Python: messages whole and streamed, their blocks sent back as objects and as dictionaries."""

import anthropic
from common import SCHEMAS, chat_content, run


def blocks(content):
    if isinstance(content, str):
        return content
    return [
        part
        if part["type"] == "text"
        else {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": part["image_url"]["url"].split(",")[1]},
        }
        for part in content
    ]


def echoing(get, copy=lambda message: message.content):
    def echo(one, base):
        client = anthropic.Anthropic(api_key="k", base_url=base, max_retries=0)
        tools = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]
        body = {"model": "tiny", "max_tokens": 100, "system": one["system"], **({"tools": tools} if one["tools"] else {})}
        messages = [{"role": "user", "content": blocks(chat_content(one))}]
        message = get(client, {**body, "messages": messages})
        calls = [block for block in message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": one["toolResult"]} for call in calls]
        messages.append({"role": "assistant", "content": copy(message)})
        messages.append({"role": "user", "content": results or one["nextQuestion"]})
        client.messages.create(**body, messages=messages)

    return echo


def create(client, body):
    return client.messages.create(**body)


def stream(client, body):
    with client.messages.stream(**body) as running:
        return running.get_final_message()


run(
    {
        "create": ("messages", echoing(create), None),
        "create, model_dump": ("messages", echoing(create, lambda message: message.model_dump()["content"]), None),
        "stream helper": ("messages", echoing(stream), None),
    }
)
