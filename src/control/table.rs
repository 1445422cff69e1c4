//! What the table of routes is made of, and how a request finds its route.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::ask::{Ask, Incoming, Outcome, Refused, decoded, shown_name};
use crate::likeness;
use crate::phrases::Phrase;

/// What a handler comes to.
pub(super) type Working = BoxFuture<'static, Outcome>;

/// The control plane's root, and what every other path of it begins with.
pub const ROOT: &str = "/_localyun";
pub const BELOW: &str = "/_localyun/";

/// One route of the control plane.
pub struct Route {
    /// `ANY` takes every method.
    pub method: &'static str,
    /// `{name}` stands for one part of a path; `{name...}` at the end for all that follow, of which there may be none.
    pub path: &'static str,
    pub query: Query,
    pub body: Shape,
    pub answer: Shape,
    /// One sentence without its period.
    pub doc: &'static str,
    pub who: Who,
    pub(super) handler: fn(Ask) -> Working,
}

/// The names that a route's query may have.
pub enum Query {
    Of(&'static [&'static [Field]]),
    /// It is not ours to judge.
    Any,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever has the token, or where there is none, is on this machine.
    Owner,
    /// As [`Who::Owner`] where there is a token, and anybody else where there is none.
    Scraper,
    /// Files of the console, which hold no secret: anybody where there is a token, whoever is on this machine where there is none.
    Page,
    /// Anybody who reaches the port.
    Everybody,
}

/// What a body looks like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    None,
    /// A JSON object; the fields that the table names.
    Fields(&'static [Field]),
    /// A JSON document that has its description elsewhere: what it is.
    Json(&'static str),
    /// As it comes, however long: its content type and what it is.
    Stream(&'static str, &'static str),
    /// Text or bytes: the content type and what it is.
    Other(&'static str, &'static str),
}

/// A parameter of a query, or a member of a body.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub needed: bool,
    pub doc: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Whole,
    Truth,
    List,
    Object,
    Any,
}

impl Kind {
    /// The name that JSON Schema has for it.
    pub(super) fn of_schema(self) -> Option<&'static str> {
        Some(match self {
            Self::Text => "string",
            Self::Number => "number",
            Self::Whole => "integer",
            Self::Truth => "boolean",
            Self::List => "array",
            Self::Object => "object",
            Self::Any => return None,
        })
    }
}

/// A field that may be absent.
pub(super) const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        needed: false,
        doc,
    }
}

impl Field {
    /// The same, which may not be absent.
    pub(super) const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }
}

impl Route {
    /// The names of the query, in the table's order.
    pub fn names(&self) -> impl Iterator<Item = &'static Field> {
        let groups = match self.query {
            Query::Of(groups) => groups,
            Query::Any => &[],
        };
        groups.iter().flat_map(|group| group.iter())
    }

    /// The route as one line: `GET /_localyun/requests?limit=&cursor=`.
    #[must_use]
    pub fn line(&self) -> String {
        let names: Vec<String> = self.names().map(|f| format!("{}=", f.name)).collect();
        let query = if names.is_empty() {
            String::new()
        } else {
            format!("?{}", names.join("&"))
        };
        format!("{} {}{query}", self.method, self.path)
    }

    /// The open parts of a path that is this route's.
    fn matching(&self, path: &str) -> Option<Vec<String>> {
        let (known, asked) = (parts(self.path)?, parts(path)?);
        let mut open = Vec::new();
        for (number, known) in known.iter().enumerate() {
            if known.ends_with("...}") {
                let rest = asked.get(number..)?;
                open.push(
                    rest.iter()
                        .map(|part| decoded(part))
                        .collect::<Vec<_>>()
                        .join("/"),
                );
                return Some(open);
            }
            let asked = asked.get(number)?;
            if known.starts_with('{') {
                open.push(decoded(asked));
            } else if known != asked {
                return None;
            }
        }
        (known.len() == asked.len()).then_some(open)
    }
}

/// The parts of a path between its slashes; `None` where one is empty. A slash at the end is let pass below the root.
fn parts(path: &str) -> Option<Vec<&str>> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if path.starts_with(ROOT) => shorter,
        _ => path,
    };
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

/// What a path and a method lead to.
pub(super) enum Found {
    Route(&'static Route, Vec<String>),
    /// The methods that the path has.
    OtherMethod(Vec<&'static str>),
    /// A route that may have been meant.
    Nothing(Option<&'static str>),
}

/// A path without what most routes begin with, which says nothing of what was meant.
fn own_part(path: &str) -> &str {
    path.strip_prefix("/_localyun/").unwrap_or(path)
}

/// Finds the route of a request.
pub(super) fn find(routes: &'static [Route], method: &str, path: &str) -> Found {
    let mut methods = Vec::new();
    for route in routes {
        // What takes every name of its folder stands behind the names in it that have a route of their own.
        if !methods.is_empty() && route.path.ends_with("...}") {
            continue;
        }
        let Some(open) = route.matching(path) else {
            continue;
        };
        // Probes ask by HEAD; the server leaves out the body. One that would go on has no such short form.
        let is_asked_shortly =
            method == "HEAD" && route.method == "GET" && !matches!(route.answer, Shape::Stream(..));
        if route.method == method || route.method == "ANY" || is_asked_shortly {
            return Found::Route(route, open);
        }
        methods.push(route.method);
    }
    if methods.is_empty() {
        let known = routes.iter().map(|route| own_part(route.path));
        let near = likeness::closest(known, own_part(path));
        let route = near.and_then(|near| routes.iter().find(|route| own_part(route.path) == near));
        return Found::Nothing(route.map(|route| route.path));
    }
    Found::OtherMethod(methods)
}

/// Refuses names that a route does not take.
pub(super) fn check_query(route: &Route, query: &[(String, String)]) -> Result<(), Refused> {
    if matches!(route.query, Query::Any) {
        return Ok(());
    }
    let known = || route.names().map(|field| field.name);
    for (name, _) in query {
        if known().any(|known| known == name) {
            continue;
        }
        let names: Vec<&str> = known().collect();
        let near = likeness::closest(known(), name);
        let shown = shown_name(name);
        let place = format!("{} {}", route.method, route.path);
        return Err(Refused::bad(match (near, names.as_slice()) {
            (Some(near), _) => Phrase::QueryNameButNear.with([
                ("route", &place),
                ("name", &shown),
                ("near", &near),
            ]),
            (None, []) => Phrase::QueryNotTaken.with([("route", &place), ("name", &shown)]),
            (None, names) => Phrase::QueryNameUnknown.with([
                ("route", &place),
                ("name", &shown),
                ("names", &names.join(", ")),
            ]),
        }));
    }
    Ok(())
}

/// Refuses a body at a route that takes none: whoever sends one asks for something that would not be done.
pub(super) fn check_body(route: &Route, body: &Incoming) -> Result<(), Refused> {
    let (Shape::None, Incoming::Kept(body)) = (route.body, body) else {
        return Ok(());
    };
    let body = body.trim_ascii();
    // Clients that send JSON always send this where they have nothing to say.
    let is_empty =
        || serde_json::from_slice(body).is_ok_and(|it: Map<String, Value>| it.is_empty());
    if body.is_empty() || is_empty() {
        return Ok(());
    }
    let place = format!("{} {}", route.method, route.path);
    Err(Refused::bad(Phrase::BodyNotTaken.with([("route", &place)])))
}

#[cfg(test)]
mod tests {
    use super::super::routes::ROUTES;
    use super::*;

    fn methods(path: &str) -> Vec<&'static str> {
        match find(ROUTES, "BREW", path) {
            Found::OtherMethod(methods) => methods,
            Found::Route(route, _) => vec![route.method],
            Found::Nothing(_) => Vec::new(),
        }
    }

    #[test]
    fn a_path_has_the_methods_of_its_routes() {
        assert_eq!(methods("/_localyun/faults"), ["PUT", "GET", "DELETE"]);
        assert_eq!(methods("/_localyun/streams/d/a/s"), ["DELETE"]);
        assert_eq!(methods("/_localyun/clock/advance/"), ["POST"]);
        assert_eq!(methods("/_localyun/sink/x"), ["ANY"]);
        assert_eq!(methods("/metrics"), ["GET"]);
    }

    #[test]
    fn a_path_that_only_begins_like_a_route_has_none() {
        for path in [
            "/_localyunclock",
            "/_localyun/stream",
            "/_localyun/clockadvance",
            "/_localyun/clock/advance/now",
            "/_localyun//clock",
            "/_localyun/clock//",
            "/_localyun/reset/x",
            "/metrics/",
            "/",
        ] {
            assert!(methods(path).is_empty(), "{path}");
        }
        let Found::Nothing(near) = find(ROUTES, "GET", "/_localyun/stream") else {
            panic!("there is no such route")
        };
        assert_eq!(near, Some("/_localyun/streams"));
        let far = format!("/_localyun/{}", "q".repeat(80));
        assert!(matches!(find(ROUTES, "GET", &far), Found::Nothing(None)));
    }

    #[test]
    fn open_parts_are_decoded() {
        let Found::Route(_, open) = find(
            ROUTES,
            "DELETE",
            "/_localyun/streams/d.example/a%2Fb/%E4%B8%AD",
        ) else {
            panic!("this is a route")
        };
        assert_eq!(open, ["d.example", "a/b", "中"]);
    }

    #[test]
    fn no_two_routes_are_one_and_each_says_what_it_does() {
        let mut lines: Vec<String> = ROUTES
            .iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect();
        let all = lines.len();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), all);
        for route in ROUTES {
            assert!(
                !route.doc.is_empty() && !route.doc.ends_with('.'),
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn a_body_that_a_route_does_not_take_is_refused() {
        let mut bare = 0;
        for route in ROUTES.iter().filter(|it| matches!(it.body, Shape::None)) {
            bare += 1;
            let told = |body: &'static str| check_body(route, &Incoming::Kept(body.into()));
            for none in ["", "{}", " {} \r\n"] {
                assert!(told(none).is_ok(), "{} {none:?}", route.path);
            }
            for body in [r#"{"domain":"d"}"#, "junk", "[]", "null", "{"] {
                let refused = told(body).unwrap_err();
                let names_it = refused.message.contains(route.path);
                assert!(refused.status == 400 && names_it, "{}", refused.message);
            }
        }
        assert!(bare > 20, "{bare}");
    }

    #[test]
    fn a_misspelt_query_name_is_refused_with_the_one_that_was_meant() {
        let Found::Route(route, _) = find(ROUTES, "GET", "/_localyun/requests") else {
            panic!("this is a route")
        };
        let given = |name: &str| [(name.to_owned(), "3".to_owned())];
        assert!(check_query(route, &given("limit")).is_ok());
        let told = check_query(route, &given("lmit")).unwrap_err().message;
        assert!(told.ends_with("did you mean limit?"), "{told}");
        let told = check_query(route, &given("zzz")).unwrap_err().message;
        assert!(told.contains("it takes domain, app"), "{told}");
    }
}
