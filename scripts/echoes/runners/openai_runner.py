"""The `openai` package of Python: chat completions and responses, whole, streamed, parsed."""

import openai
from common import SCHEMAS, chat_content, chat_tools, run, spoken


def client_of(base):
    return openai.OpenAI(api_key="k", base_url=f"{base}/v1", max_retries=0)


def chat(get, copy=lambda message: message):
    def echo(one, base):
        client = client_of(base)
        tools = {"tools": chat_tools()} if one["tools"] else {}
        messages = [{"role": "system", "content": one["system"]}, {"role": "user", "content": chat_content(one)}]
        message = get(client, {"model": "tiny", "messages": messages, **tools})
        calls = message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": one["toolResult"]} for call in calls]
        following = results or [{"role": "user", "content": one["nextQuestion"]}]
        client.chat.completions.create(model="tiny", messages=[*messages, copy(message), *following], **tools)

    return echo


def create(client, body):
    return client.chat.completions.create(**body).choices[0].message


def parse(client, body):
    return client.chat.completions.parse(**body).choices[0].message


def stream_helper(client, body):
    with client.chat.completions.stream(**body) as stream:
        return stream.get_final_completion().choices[0].message


def responses(get, copy=lambda response: response.output):
    def echo(one, base):
        client = client_of(base)
        content = chat_content(one)
        if not isinstance(content, str):
            content = [
                {"type": "input_text", "text": part["text"]}
                if "text" in part
                else {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
                for part in content
            ]
        items = [{"role": "user", "content": content}]
        tools = [{"type": "function", "name": name, "parameters": schema, "strict": False} for name, schema in SCHEMAS.items()]
        body = {"model": "tiny", "instructions": one["system"], **({"tools": tools} if one["tools"] else {})}
        response = get(client, {**body, "input": items})
        items += copy(response)
        calls = [item for item in response.output if item.type == "function_call"]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": one["toolResult"]} for call in calls
        ]
        items += results or [{"role": "user", "content": one["nextQuestion"]}]
        client.responses.create(**body, input=items)

    return echo


def responses_create(client, body):
    return client.responses.create(**body)


def responses_stream(client, body):
    with client.responses.stream(**body) as stream:
        return stream.get_final_response()


def responses_events(client, body):
    for event in client.responses.create(**body, stream=True):
        if event.type == "response.completed":
            return event.response


run(
    {
        "create": ("chat", chat(create), None),
        "create, model_dump": ("chat", chat(create, lambda message: message.model_dump()), None),
        "create, exclude_none": ("chat", chat(create, lambda message: message.model_dump(exclude_none=True)), None),
        "parse": ("chat", chat(parse), lambda one: not one["tools"]),
        "stream helper": ("chat", chat(stream_helper), None),
        "responses.create": ("responses", responses(responses_create), None),
        "responses.create, model_dump": (
            "responses",
            responses(responses_create, lambda response: [item.model_dump() for item in response.output]),
            None,
        ),
        "responses.create, output_text": (
            "responses",
            responses(responses_create, lambda response: [{"role": "assistant", "content": response.output_text}]),
            spoken,
        ),
        "responses.parse": ("responses", responses(lambda client, body: client.responses.parse(**body)), None),
        "responses.stream": ("responses", responses(responses_stream), None),
        "responses.create, streamed": ("responses", responses(responses_events), None),
    }
)
