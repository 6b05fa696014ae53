"""The production server with the tools, resources and prompts that the official conformance suite calls.

    python tests/mcp/conformance_app.py PORT [--sessions]

Test-only. `--sessions` keeps sessions: before 2026-07-28 the suite's questions to the client need them.
"""

import base64
import json
import sys
from typing import Any

import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

from r2_mcp.http import http_app
from r2_mcp.server import R2Server, create_server

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
).decode()
Asked = str | InputRequiredResult


def text(said: str) -> TextContent:
    return TextContent(type="text", text=said)


def image() -> ImageContent:
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, said: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=said))


def form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(question: str, max_tokens: int = 100) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=text(question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def need(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def answers(ctx: Context[Any, Any], *keys: str) -> list[Any] | None:
    """What the client said to each of `keys`, None while one is missing."""
    given = ctx.input_responses or {}
    return [given[key] for key in keys] if all(key in given for key in keys) else None


# -- content -------------------------------------------------------------------------------------------------


def test_simple_text() -> TextContent:
    """Text."""
    return text("This is a simple text response for testing.")


def test_image_content() -> ImageContent:
    """An image."""
    return image()


def test_audio_content() -> AudioContent:
    """A sound."""
    return AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")


def test_embedded_resource() -> EmbeddedResource:
    """A resource in a result."""
    return embedded("test://embedded-resource", "This is an embedded resource content.")


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Three kinds of content."""
    mixed = embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json")
    return [text("Multiple content types test:"), image(), mixed]


def test_error_handling() -> str:
    """An error."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Context[Any, Any]) -> str:
    """Three steps."""
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100, f"Completed step {step} of 100")
    return "done"


async def test_tool_with_logging(ctx: Context[Any, Any]) -> str:
    """Three log messages."""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(message)  # pyright: ignore[reportDeprecated]
    return "done"


test_logging_tool = test_tool_with_logging

# -- questions to the client, before 2026-07-28 --------------------------------------------------------------


class Response(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def choices(**titles: str) -> list[Any]:
    return [{"const": value, "title": title} for value, title in titles.items()]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(json_schema_extra={"oneOf": choices(value1="First Option", value2="Second Option")})
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2"]}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": choices(value1="First", value2="Second")}})
    legacyEnum: str = Field(json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]})


async def _elicited(ctx: Context[Any, Any], message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message, schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"action={result.action}, content={content}"


async def test_elicitation(message: str, ctx: Context[Any, Any]) -> str:
    """A question to the user."""
    return "User response: " + await _elicited(ctx, message, Response)


async def test_elicitation_sep1034_defaults(ctx: Context[Any, Any]) -> str:
    """A form with defaults."""
    return "Elicitation completed: " + await _elicited(ctx, "Please provide user information", Defaults)


async def test_elicitation_sep1330_enums(ctx: Context[Any, Any]) -> str:
    """A form of choices."""
    return "Elicitation completed: " + await _elicited(ctx, "Please choose", Enums)


async def test_sampling(prompt: str, ctx: Context[Any, Any]) -> str:
    """A question to the client's LLM."""
    message = SamplingMessage(role="user", content=text(prompt))
    result = await ctx.session.create_message([message], max_tokens=100)  # pyright: ignore[reportDeprecated]
    return f"LLM response: {getattr(result.content, 'text', '')}"


# -- questions that ride on results, since 2026-07-28 --------------------------------------------------------


async def test_input_required_result_elicitation(ctx: Context[Any, Any]) -> Asked:
    """One question to the user."""
    said = answers(ctx, "user_name")
    name = said and (said[0].content or {}).get("name")
    if not name:
        return need(user_name=form("What is your name?", "name"))
    return f"Hello, {name}!"


test_streaming_elicitation = test_input_required_result_elicitation


async def test_input_required_result_sampling(ctx: Context[Any, Any]) -> Asked:
    """One question to the LLM."""
    said = answers(ctx, "capital_question")
    return said[0].content.text if said else need(capital_question=sampling("What is the capital of France?"))


async def test_input_required_result_list_roots(ctx: Context[Any, Any]) -> Asked:
    """One question for roots."""
    said = answers(ctx, "client_roots")
    return ", ".join(str(root.uri) for root in said[0].roots) if said else need(client_roots=ListRootsRequest())


async def test_input_required_result_request_state(ctx: Context[Any, Any]) -> Asked:
    """State that comes back."""
    said = answers(ctx, "confirm")
    if said and ctx.request_state == "confirming":
        return "state-ok"
    return need("confirming", confirm=form("Please confirm", "ok", "boolean"))


test_input_required_result_tampered_state = test_input_required_result_request_state


async def test_input_required_result_multiple_inputs(ctx: Context[Any, Any]) -> Asked:
    """Three questions at once."""
    if answers(ctx, "user_name", "greeting", "client_roots"):
        return "all there"
    name = form("What is your name?", "name")
    return need("three", user_name=name, greeting=sampling("Generate a greeting", 50), client_roots=ListRootsRequest())


async def test_input_required_result_multi_round(ctx: Context[Any, Any]) -> Asked:
    """Two questions, one after the other."""
    if ctx.request_state == "two" and answers(ctx, "step2"):
        return "done"
    if ctx.request_state == "one" and answers(ctx, "step1"):
        return need("two", step2=form("Step 2: What is your favorite color?", "color"))
    return need("one", step1=form("Step 1: What is your name?", "name"))


async def test_input_required_result_capabilities(ctx: Context[Any, Any]) -> Asked:
    """Only what the client can answer."""
    known = ctx.client_capabilities or ClientCapabilities()
    requests: dict[str, InputRequest] = {}
    if known.sampling is not None:
        requests["question"] = sampling("Say hello")
    if known.elicitation is not None:
        requests["name"] = form("What is your name?", "name")
    return need(**requests) if requests and not ctx.input_responses else "done"


async def test_missing_capability(ctx: Context[Any, Any]) -> str:
    """A tool that cannot do without sampling."""
    known = ctx.client_capabilities
    if known is None or known.sampling is None:
        data = MissingRequiredClientCapabilityErrorData(
            required_capabilities=ClientCapabilities(sampling=SamplingCapability())
        )
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs sampling",
            data=data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
    return "done"


# -- resources, prompts, and what the production server leaves out -------------------------------------------


def add_fixtures(server: R2Server) -> None:
    for name, function in globals().items():
        if name.startswith("test_"):
            server.add_tool(function, name=name, structured_output=False)

    @server.resource("test://static-text", mime_type="text/plain", description="A fixture.")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain", description="A fixture.")
    def watched() -> str:
        return "Watched resource content"

    @server.prompt(description="A fixture.")
    def test_simple_prompt() -> str:
        return "This is a simple prompt for testing."

    @server.prompt(description="A fixture.")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt(description="A fixture.")
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
        return [UserMessage(content=embedded(resourceUri, "Embedded resource content for testing."))]

    @server.prompt(description="A fixture.")
    def test_prompt_with_image() -> list[UserMessage]:
        return [UserMessage(content=image()), UserMessage(content=text("Please analyze the image above."))]

    @server.prompt(description="A fixture.")
    async def test_input_required_result_prompt(ctx: Context[Any, Any]) -> Any:
        said = answers(ctx, "user_context")
        if not said:
            return need(user_context=form("What context should the prompt use?", "context"))
        return f"Context: {(said[0].content or {}).get('context')}"

    async def accept(*_: Any) -> EmptyResult:
        return EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)


def main() -> None:
    server = create_server()
    add_fixtures(server)
    app = http_app(server, stateless="--sessions" not in sys.argv)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
