"""Writes structs, tables and wrappers for the components of each file."""

import json

from . import model

C_TYPES = {
    "STRING": "char *", "INTEGER": "int64_t ", "NUMBER": "double ", "BOOLEAN": "bool ",
    "STRINGS": "GPtrArray *", "OBJECTS": "GPtrArray *", "STRING_MAP": "StringMap *",
    "INT_MAP": "IntMap *", "RAW": "json_t *",
}


def literal(text):
    return "NULL" if text is None else json.dumps(text, ensure_ascii=False)


def integer(value):
    return {model.INT_MIN: "INT64_MIN", model.INT_MAX: "INT64_MAX"}.get(value, f"INT64_C({value})")


def _enum_header(c):
    prefix = model.snake(c.name)
    names = ["UNSET"] + [v.upper().replace("-", "_") for v in c.values]
    body = "".join(f"    {prefix.upper()}_{n}{' = 0' if i == 0 else ''},\n" for i, n in enumerate(names))
    return (f"typedef enum {{\n{body}}} {c.name};\n"
            f"const char *{prefix}_to_string({c.name} value);\n"
            f"bool {prefix}_from_string(const char *text, {c.name} *ret_value);\n\n")


def _enum_source(c):
    prefix = model.snake(c.name)
    values = "".join(f"    {literal(v)},\n" for v in c.values)
    rows = "".join(f"    {{{literal(alias)}, {c.values.index(value) + 1}}},\n" for alias, value in c.aliases.items())
    aliases = f"static const CodecAlias {prefix}_aliases[] = {{\n{rows}    {{NULL, 0}},\n}};\n" if rows else ""
    table = f"{prefix}_aliases" if rows else "NULL"
    return (f"static const char *const {prefix}_values[] = {{\n{values}    NULL,\n}};\n{aliases}"
            f"const CodecEnum {prefix}_enum = {{{literal(c.name)}, {prefix}_values, {table}}};\n\n"
            f"const char *{prefix}_to_string({c.name} value)\n{{\n"
            f"    return codec_enum_text(&{prefix}_enum, (int)value);\n}}\n\n"
            f"bool {prefix}_from_string(const char *text, {c.name} *ret_value)\n{{\n"
            f"    int value = codec_enum_parse(&{prefix}_enum, text);\n"
            f"    if (value == 0) {{\n        return false;\n    }}\n"
            f"    *ret_value = ({c.name})value;\n    return true;\n}}\n\n")


def _member(field):
    if field.kind in ("ENUM",):
        return f"    {field.target} {field.member};\n"
    if field.kind == "OBJECT":
        return f"    {field.target} *{field.member};\n"
    flag = f"    bool has_{field.member};\n" if field.has_flag else ""
    return f"{flag}    {C_TYPES[field.kind]}{field.member};\n"


def _object_header(c):
    prefix = model.snake(c.name)
    members = "".join(_member(f) for f in c.fields)
    return (f"typedef struct {c.name} {c.name};\nstruct {c.name} {{\n{members}"
            f"    json_t *unknown; /* fields of a newer peer, kept; NULL: none */\n}};\n"
            f"extern const CodecType {prefix}_type;\n"
            f"{c.name} *{prefix}_new(void);\nvoid {prefix}_free({c.name} *object);\n"
            f"{c.name} *{prefix}_copy(const {c.name} *object);\n"
            f"bool {prefix}_equal(const {c.name} *a, const {c.name} *b);\n"
            f"json_t *{prefix}_encode(const {c.name} *object);\n"
            f"{c.name} *{prefix}_decode(const json_t *json, CodecMode mode, GError **error);\n"
            f"G_DEFINE_AUTOPTR_CLEANUP_FUNC({c.name}, {prefix}_free)\n\n")


def _field_row(c, field):
    flag = f"offsetof({c.name}, has_{field.member})" if field.has_flag else "-1"
    default = None if field.default is None else json.dumps(field.default)
    target = model.snake(field.target) if field.target else None
    return (f"    {{.name = {literal(field.name)},\n     .kind = CODEC_{field.kind},\n"
            f"     .offset = offsetof({c.name}, {field.member}),\n     .has_offset = {flag},\n"
            f"     .required = {'true' if field.required else 'false'},\n"
            f"     .minimum = {integer(field.low)},\n     .maximum = {integer(field.high)},\n"
            f"     .item_minimum = {integer(field.item_low)},\n"
            f"     .item_maximum = {integer(field.item_high)},\n"
            f"     .pattern = {literal(field.pattern)},\n     .hint = {literal(field.hint)},\n"
            f"     .default_text = {literal(default)},\n"
            f"     .type = {'&' + target + '_type' if field.kind in ('OBJECT', 'OBJECTS') else 'NULL'},\n"
            f"     .enumeration = {'&' + target + '_enum' if field.kind == 'ENUM' else 'NULL'}}},\n")


def object_source(c):
    prefix = model.snake(c.name)
    rows = "".join(_field_row(c, f) for f in c.fields)
    table = f"static const CodecField {prefix}_fields[] = {{\n{rows}}};\n\n" if rows else ""
    return (f"{table}static void {prefix}_free_element(void *object)\n{{\n"
            f"    codec_free(&{prefix}_type, object);\n}}\n\n"
            f"const CodecType {prefix}_type = {{\n    .name = {literal(c.name)},\n"
            f"    .size = sizeof({c.name}),\n    .unknown_offset = offsetof({c.name}, unknown),\n"
            f"    .fields = {prefix + '_fields' if rows else 'NULL'},\n    .n_fields = {len(c.fields)},\n"
            f"    .free_element = {prefix}_free_element,\n}};\n\n"
            f"{c.name} *{prefix}_new(void)\n{{\n    return codec_new(&{prefix}_type);\n}}\n\n"
            f"void {prefix}_free({c.name} *object)\n{{\n    codec_free(&{prefix}_type, object);\n}}\n\n"
            f"{c.name} *{prefix}_copy(const {c.name} *object)\n{{\n"
            f"    return codec_copy(&{prefix}_type, object);\n}}\n\n"
            f"bool {prefix}_equal(const {c.name} *a, const {c.name} *b)\n{{\n"
            f"    return codec_equal(&{prefix}_type, a, b);\n}}\n\n"
            f"json_t *{prefix}_encode(const {c.name} *object)\n{{\n"
            f"    return codec_encode(&{prefix}_type, object);\n}}\n\n"
            f"{c.name} *{prefix}_decode(const json_t *json, CodecMode mode, GError **error)\n{{\n"
            f"    return codec_decode(&{prefix}_type, json, mode, error);\n}}\n\n")


object_header = _object_header


def _methods(document, file):
    if "protocol" not in document:
        return ""
    protocol = document["protocol"]
    prefix = file.upper()
    lines = [f'#define {prefix}_PROTOCOL_NAME {literal(protocol["name"])}',
             f'#define {prefix}_PROTOCOL_MAJOR {protocol["major"]}',
             f'#define {prefix}_PROTOCOL_MINOR {protocol["minor"]}', ""]
    for name, method in document["methods"].items():
        if method.get("kind") not in ("call", "notify") or "params" not in method:
            raise model.SchemaError(f"schema/{file}.yaml: {name}: needs kind (call, notify) and params")
        lines.append(f'#define {prefix}_METHOD_{name.upper().replace(".", "_").replace("-", "_")} {literal(name)}')
    return "\n".join(lines) + "\n\n"


def write_types(schemas, target):
    files = [f for f in model.ORDER if f in schemas.documents and f != "api"]
    for position, file in enumerate(files):
        components = [c for c in schemas.components.values() if c.file == file]
        header = (f"/* Made by tools/schema-gen from schema/{file}.yaml. */\n#pragma once\n\n"
                  '#include "base/codec.h"\n'
                  + "".join(f'#include "schema/{f}.h"\n' for f in files[:position]) + "\n"
                  + _methods(schemas.documents[file], file))
        source = (f"/* Made by tools/schema-gen from schema/{file}.yaml. */\n"
                  f'#include "schema/{file}.h"\n\n')
        for c in components:
            if c.kind == "enum":
                header += f"extern const CodecEnum {model.snake(c.name)}_enum;\n" + _enum_header(c)
                source += _enum_source(c)
            elif c.kind == "object":
                header += _object_header(c)
                source += object_source(c)
        (target / f"{file}.h").write_text(header)
        (target / f"{file}.c").write_text(source)
