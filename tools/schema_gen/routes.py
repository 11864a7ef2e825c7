"""Writes the route table of the HTTP API, its query structs and the bundled OpenAPI document."""

import json
import re

from . import emit, model

METHODS = {"get", "put", "post", "patch", "delete"}
OPERATION_KEYS = {"operationId", "tags", "summary", "security", "parameters", "requestBody",
                  "responses", "x-berth-roles", "x-async"}
ROLES = {"admin", "operator", "tenant", "viewer", "ticket"}


def _component_name(content):
    schema = content.get("application/json", {}).get("schema")
    return schema["$ref"].rsplit("/", 1)[-1] if schema else None


def _parameters(document, operation, where):
    for parameter in operation.get("parameters", []):
        if "$ref" in parameter:
            parameter = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[-1]]
        if parameter.get("in") not in ("path", "query"):
            raise model.SchemaError(f"{where}: parameters are in path or query")
        yield parameter


def _query(schemas, document, operation, where):
    name = operation["operationId"][0].upper() + operation["operationId"][1:] + "Query"
    component = model.Component(name, "routes", {}, "object")
    for parameter in _parameters(document, operation, where):
        if parameter["in"] == "query":
            component.fields.append(model.make_field(
                parameter["name"], parameter["schema"], parameter.get("required", False),
                f"{where}.{parameter['name']}", schemas))
    return component


def _each(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"schema/api.yaml: {method} {path}"
            if method not in METHODS:
                raise model.SchemaError(f"{where}: not a method of the dialect")
            for key in operation:
                if key not in OPERATION_KEYS:
                    raise model.SchemaError(f"{where}: keyword '{key}' is not in the dialect")
            yield path, method, operation, where


def _bundle(schemas):
    """One self-contained document: every reference points into its own components."""
    text = json.dumps(schemas.documents["api"], ensure_ascii=False)
    document = json.loads(re.sub(r'"[a-z]+\.yaml#/', '"#/', text))
    wanted, parts = [text], {}
    while wanted:
        for name in re.findall(r"#/components/schemas/(\w+)", wanted.pop()):
            if name not in parts:
                raw = json.dumps(schemas.components[name].schema, ensure_ascii=False)
                parts[name] = json.loads(re.sub(r'"[a-z]+\.yaml#/', '"#/', raw))
                wanted.append(raw)
    document["components"]["schemas"] = dict(sorted(parts.items()))
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _responses(operation):
    rows = []
    for status, response in operation["responses"].items():
        name = _component_name(response.get("content", {}))
        if status == "default":
            rows.append("{0, &error_answer_type}")
        elif name:
            rows.append(f"{{{status}, &{model.snake(name)}_type}}")
        else:
            rows.append(f"{{{status}, NULL}}")
    return ", ".join(rows)


def _roles(operation, where):
    """Who may ask for it, as bits; an operation says so or is public."""
    public = operation.get("security") == []
    roles = operation.get("x-berth-roles")
    if public != (roles is None):
        raise model.SchemaError(f"{where}: has either x-berth-roles or an empty security")
    for role in roles or []:
        if role not in ROLES:
            raise model.SchemaError(f"{where}: '{role}' is not a role; roles are {', '.join(sorted(ROLES))}")
    bits = ["API_ROLE_TICKET" if role == "ticket" else f"1U << ROLE_{role.upper()}" for role in roles or []]
    return " | ".join(bits) or "0"


def _row(path, method, operation, query, where):
    body = operation.get("requestBody", {}).get("content", {})
    name = _component_name(body)
    kind = "API_BODY_JSON" if name else "API_BODY_RAW" if body else "API_BODY_NONE"
    return (f"    {{.method = {emit.literal(method.upper())},\n     .path = {emit.literal(path)},\n"
            f"     .operation = API_OP_{model.snake(operation['operationId']).upper()},\n"
            f"     .name = {emit.literal(operation['operationId'])},\n"
            f"     .summary = {emit.literal(operation['summary'])},\n"
            f"     .roles = {_roles(operation, where)},\n"
            f"     .async = {'true' if operation.get('x-async') else 'false'},\n"
            f"     .body_kind = {kind},\n"
            f"     .body = {'&' + model.snake(name) + '_type' if name else 'NULL'},\n"
            f"     .query = &{model.snake(query.name)}_type,\n"
            f"     .responses = {{{_responses(operation)}}}}},\n")


def _string_literal(text):
    """C strings may be no longer than compilers take; neighbours are joined."""
    lines = [text[i:i + 90] for i in range(0, len(text), 90)]
    return "\n".join("    " + json.dumps(line, ensure_ascii=True).replace("\\u", "\\\\u") for line in lines)


def write(schemas, target):
    document = schemas.documents["api"]
    operations, queries, rows = [], [], []
    for path, method, operation, where in _each(document):
        query = _query(schemas, document, operation, where)
        operations.append(f"    API_OP_{model.snake(operation['operationId']).upper()},\n")
        queries.append(query)
        rows.append(_row(path, method, operation, query, where))
    header = ("/* Made by tools/schema-gen from schema/api.yaml. */\n#pragma once\n\n"
              '#include "base/route.h"\n#include "schema/objects.h"\n\n'
              "typedef enum {\n" + "".join(operations) + "    API_N_OPERATIONS,\n} ApiOperation;\n\n"
              "extern const ApiRoute api_routes[API_N_OPERATIONS]; /* by operation */\n"
              "extern const char api_openapi_json[]; /* the whole document */\n\n"
              + "".join(emit.object_header(q) for q in queries))
    source = ('/* Made by tools/schema-gen from schema/api.yaml. */\n#include "schema/routes.h"\n\n'
              + "".join(emit.object_source(q) for q in queries)
              + "const ApiRoute api_routes[API_N_OPERATIONS] = {\n" + "".join(rows) + "};\n\n"
              + "const char api_openapi_json[] =\n" + _string_literal(_bundle(schemas)) + ";\n")
    (target / "routes.h").write_text(header)
    (target / "routes.c").write_text(source)
