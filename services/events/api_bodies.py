"""How a body is described in OpenAPI when the command reads it: the input model's schema, in place."""

from typing import Any

from pydantic import BaseModel


def body_of(model: type[BaseModel], *, partial: bool = False) -> dict[str, Any]:
    """The `requestBody` of a route that takes `model`; `partial`: any of its fields, as PATCH does."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    schema = _inlined(schema, definitions)
    if partial:
        schema.pop("required", None)
        schema["title"] = f"{model.__name__}Patch"
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """`$ref` points to the document's root, which an embedded schema doesn't have."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined({**definitions[name], **rest}, definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
