"""`langchain-openai`: its message objects sent back, from `invoke` and from the chunks of `stream`, on both of OpenAI's APIs."""

from common import chat_content, chat_tools, run
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI


def echoing(get, **options):
    def echo(one, base):
        model = ChatOpenAI(api_key="k", model="tiny", base_url=f"{base}/v1", max_retries=0, **options)
        if one["tools"]:
            model = model.bind_tools(chat_tools())
        messages = [SystemMessage(one["system"]), HumanMessage(chat_content(one))]
        reply = get(model, messages)
        results = [ToolMessage(one["toolResult"], tool_call_id=call["id"]) for call in reply.tool_calls]
        model.invoke([*messages, reply, *(results or [HumanMessage(one["nextQuestion"])])])

    return echo


def invoke(model, messages):
    return model.invoke(messages)


def stream(model, messages):
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


run(
    {
        "invoke": ("chat", echoing(invoke), None),
        "stream": ("chat", echoing(stream), None),
        "responses, invoke": ("responses", echoing(invoke, use_responses_api=True), None),
        "responses, stream": ("responses", echoing(stream, use_responses_api=True), None),
        "responses, v1 blocks": (
            "responses",
            echoing(invoke, use_responses_api=True, output_version="v1"),
            None,
        ),
    }
)
