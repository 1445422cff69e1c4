//! The table of routes as an OpenAPI 3.1 document, and as the table of docs/control.md.

use serde_json::{Map, Value, json};

use super::table::{Field, Query, Route, Shape, Who};

/// The control plane as OpenAPI 3.1; `server` is where it is.
pub(super) fn document(routes: &[Route], server: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = route.path.replace("...}", "}");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let methods: &[&str] = match route.method {
            "ANY" => &["get", "post", "put", "delete"],
            "GET" => &["get"],
            "POST" => &["post"],
            "PUT" => &["put"],
            _ => &["delete"],
        };
        for method in methods {
            if let Value::Object(item) = item {
                item.insert((*method).to_owned(), operation(route, method));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "localyun: the control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Routes for tests and for people, beside the cloud's API on one port; never signed.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "the control token, where one is set"},
            },
            "schemas": {
                "Refusal": {
                    "type": "object",
                    "properties": {
                        "error": {"type": "string", "description": "what is wrong, and what to do"},
                        "words": {
                            "type": "object",
                            "description": "the same for whoever words it in another language; absent of a failure of the server's",
                            "properties": {"error": {
                                "type": "object",
                                "properties": {"code": {"type": "string"}, "values": {"type": "object", "additionalProperties": {"type": "string"}}},
                                "required": ["code", "values"],
                            }},
                        },
                    },
                    "required": ["error"],
                },
            },
        },
    })
}

fn operation(route: &Route, method: &str) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route, method),
        "summary": route.doc,
        "parameters": parameters(route),
        "responses": responses(route),
        "security": if route.who == Who::Everybody { json!([]) } else { json!([{"token": []}, {}]) },
    });
    if let (Some(content), Value::Object(fields)) = (content(&route.body), &mut operation)
        && !matches!((route.method, method), ("ANY", "get" | "delete"))
    {
        let needed = !matches!(route.method, "ANY");
        fields.insert(
            "requestBody".to_owned(),
            json!({"required": needed, "content": content}),
        );
    }
    operation
}

fn operation_id(route: &Route, method: &str) -> String {
    let parts = route.path.trim_start_matches("/_localyun");
    let words = parts.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

fn parameters(route: &Route) -> Vec<Value> {
    let open = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_end_matches("..."))
    });
    let mut parameters: Vec<Value> = open
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.names().map(|field| {
        json!({
            "name": field.name,
            "in": "query",
            "required": field.needed,
            "description": field.doc,
            "schema": schema_of(field, false),
        })
    }));
    parameters
}

fn responses(route: &Route) -> Value {
    let refusal = |why: &str| {
        json!({
            "description": why,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        })
    };
    let mut fine = json!({"description": "done"});
    if let (Some(content), Value::Object(fields)) = (content(&route.answer), &mut fine) {
        fields.insert("content".to_owned(), content);
    }
    let mut responses = Map::new();
    let expected = if route.method == "ANY" {
        "default"
    } else {
        "200"
    };
    responses.insert(expected.to_owned(), fine);
    if !matches!(route.query, Query::Any) {
        responses.insert("400".to_owned(), refusal("asked wrongly"));
    }
    if route.who != Who::Everybody {
        responses.insert("401".to_owned(), refusal("without the right to ask"));
        responses.insert(
            "403".to_owned(),
            refusal("from a page of another site, or by a name that is not this machine's"),
        );
    }
    Value::Object(responses)
}

fn content(shape: &Shape) -> Option<Value> {
    Some(match shape {
        Shape::None => return None,
        Shape::Fields(fields) => json!({"application/json": {"schema": object(fields)}}),
        Shape::Json(what) => json!({"application/json": {"schema": {"description": what}}}),
        Shape::Stream(kind, what) | Shape::Other(kind, what) => {
            json!({*kind: {"schema": {"description": what}}})
        }
    })
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), schema_of(field, true)))
        .collect();
    let needed: Vec<&str> = fields.iter().filter(|f| f.needed).map(|f| f.name).collect();
    json!({"type": "object", "properties": properties, "required": needed})
}

fn schema_of(field: &Field, described: bool) -> Value {
    let mut schema = Map::new();
    if let Some(kind) = field.kind.of_schema() {
        // What may be absent from an answer may as well be null in it.
        let kind = if described && !field.needed {
            json!([kind, "null"])
        } else {
            json!(kind)
        };
        schema.insert("type".to_owned(), kind);
    }
    if described {
        schema.insert("description".to_owned(), field.doc.into());
    }
    Value::Object(schema)
}

/// The table as docs/control.md has it.
pub(super) fn table(routes: &[Route]) -> String {
    let mut text = String::from("| route | query and body | answer | |\n|---|---|---|---|\n");
    for route in routes {
        let query = route.names().map(|field| name_of(field, "?"));
        let mut taken: Vec<String> = query.collect();
        if let Some(body) = shown(&route.body) {
            taken.push(format!("body: {body}"));
        }
        let answered = shown(&route.answer).unwrap_or_default();
        text.push_str(&format!(
            "| `{} {}` | {} | {answered} | {} |\n",
            route.method,
            route.path,
            taken.join(", "),
            route.doc
        ));
    }
    text
}

fn name_of(field: &Field, absent: &str) -> String {
    let absent = if field.needed { "" } else { absent };
    format!("`{}`{absent}", field.name)
}

fn shown(shape: &Shape) -> Option<String> {
    Some(match shape {
        Shape::None => return None,
        Shape::Fields(fields) => {
            let names: Vec<String> = fields.iter().map(|f| name_of(f, "?")).collect();
            names.join(" ")
        }
        Shape::Json(what) | Shape::Stream(_, what) | Shape::Other(_, what) => (*what).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::routes::ROUTES;
    use super::*;

    #[test]
    fn every_route_is_in_the_document_once() {
        let document = document(ROUTES, "http://127.0.0.1:8080");
        let mut ids = Vec::new();
        for route in ROUTES {
            let item = &document["paths"][route.path.replace("...}", "}")];
            let method = match route.method {
                "ANY" => "post".to_owned(),
                method => method.to_lowercase(),
            };
            let operation = &item[method];
            assert_eq!(operation["summary"], route.doc, "{}", route.path);
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
