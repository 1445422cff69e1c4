//! Writing actions at once against a model: whatever is answered, some order of the calls one after the other gives the same answers and
//! leaves the same settings behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::arguments::testbed::Testbed;
use crate::model::domain::Function;
use crate::store::Store;
use crate::store::documents::Kind;

const DOMAINS: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];
const APPS: [&str; 2] = ["live", "show"];
const FUNCTIONS: [&str; 5] = [
    "aliauth",
    "referer_white_list_set",
    "ip_black_list_set",
    "forward_scheme",
    "https_force",
];

/// One call of a writing action; domains, applications and functions are numbers in their lists.
#[derive(Debug, Clone)]
enum Op {
    AddRule(usize, usize, i64),
    UpdateRule(usize, usize, Option<i64>, Option<i64>),
    DeleteRule(usize, usize),
    AddNotify(usize, u8),
    UpdateNotify(usize, u8, Option<bool>),
    DeleteNotify(usize),
    SetStreamNotify(usize, u8),
    DeleteStreamNotify(usize),
    SetFunctions(BTreeSet<usize>, BTreeMap<usize, u8>),
    DeleteFunctions(BTreeSet<usize>, BTreeSet<usize>),
    AddDomain(usize, bool),
    DeleteDomain(usize),
    Map(usize, usize),
    Unmap(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let domain = || 0..DOMAINS.len();
    let app = || 0..APPS.len();
    let domains = || prop::collection::btree_set(domain(), 1..3);
    let delay = || 15..600_i64;
    prop_oneof![
        3 => (domain(), app(), delay()).prop_map(|(d, a, s)| Op::AddRule(d, a, s)),
        3 => (domain(), app(), prop::option::of(delay()), prop::option::of(0..3_i64))
            .prop_map(|(d, a, s, m)| Op::UpdateRule(d, a, s, m)),
        2 => (domain(), app()).prop_map(|(d, a)| Op::DeleteRule(d, a)),
        2 => (domain(), any::<u8>()).prop_map(|(d, u)| Op::AddNotify(d, u)),
        3 => (domain(), any::<u8>(), prop::option::of(any::<bool>()))
            .prop_map(|(d, u, n)| Op::UpdateNotify(d, u, n)),
        1 => domain().prop_map(Op::DeleteNotify),
        1 => (domain(), any::<u8>()).prop_map(|(d, u)| Op::SetStreamNotify(d, u)),
        1 => domain().prop_map(Op::DeleteStreamNotify),
        6 => (domains(), prop::collection::btree_map(0..FUNCTIONS.len(), any::<u8>(), 1..3))
            .prop_map(|(d, f)| Op::SetFunctions(d, f)),
        2 => (domains(), prop::collection::btree_set(0..FUNCTIONS.len(), 1..3))
            .prop_map(|(d, f)| Op::DeleteFunctions(d, f)),
        2 => (domain(), any::<bool>()).prop_map(|(d, push)| Op::AddDomain(d, push)),
        1 => domain().prop_map(Op::DeleteDomain),
        2 => (domain(), domain()).prop_map(|(p, d)| Op::Map(p, d)),
        1 => (domain(), domain()).prop_map(|(p, d)| Op::Unmap(p, d)),
    ]
}

fn domain(n: usize) -> &'static str {
    DOMAINS[n]
}

fn list(names: &BTreeSet<usize>, of: &[&str]) -> String {
    let names: Vec<&str> = names.iter().map(|n| of[*n]).collect();
    names.join(",")
}

impl Op {
    /// The action and its parameters.
    fn call(&self) -> (&'static str, String) {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut put = |name: &str, value: &str| {
            query.append_pair(name, value);
        };
        let action = match self {
            Self::AddRule(d, a, delay) => {
                put("DomainName", domain(*d));
                put("AppName", APPS[*a]);
                put("OssEndpoint", "e.example.com");
                put("OssBucket", "bucket");
                put("RecordFormat.1.Format", "flv");
                put("DelayTime", &delay.to_string());
                "AddLiveAppRecordConfig"
            }
            Self::UpdateRule(d, a, delay, mode) => {
                put("DomainName", domain(*d));
                put("AppName", APPS[*a]);
                put("OssEndpoint", "e.example.com");
                if let Some(delay) = delay {
                    put("DelayTime", &delay.to_string());
                }
                if let Some(mode) = mode {
                    put("OnDemand", &mode.to_string());
                }
                "UpdateLiveAppRecordConfig"
            }
            Self::DeleteRule(d, a) => {
                put("DomainName", domain(*d));
                put("AppName", APPS[*a]);
                "DeleteLiveAppRecordConfig"
            }
            Self::AddNotify(d, url) => {
                put("DomainName", domain(*d));
                put("NotifyUrl", &address(*url));
                "AddLiveRecordNotifyConfig"
            }
            Self::UpdateNotify(d, url, status) => {
                put("DomainName", domain(*d));
                put("NotifyUrl", &address(*url));
                if let Some(status) = status {
                    put("NeedStatusNotify", &status.to_string());
                }
                "UpdateLiveRecordNotifyConfig"
            }
            Self::DeleteNotify(d) => {
                put("DomainName", domain(*d));
                "DeleteLiveRecordNotifyConfig"
            }
            Self::SetStreamNotify(d, url) => {
                put("DomainName", domain(*d));
                put("NotifyUrl", &address(*url));
                "SetLiveStreamsNotifyUrlConfig"
            }
            Self::DeleteStreamNotify(d) => {
                put("DomainName", domain(*d));
                "DeleteLiveStreamsNotifyUrlConfig"
            }
            Self::SetFunctions(domains, functions) => {
                let functions: Vec<Value> = functions
                    .iter()
                    .map(|(f, n)| {
                        let args: Vec<Value> = args(*f, *n)
                            .into_iter()
                            .map(|(name, value)| json!({"argName": name, "argValue": value}))
                            .collect();
                        json!({"functionName": FUNCTIONS[*f], "functionArgs": args})
                    })
                    .collect();
                put("DomainNames", &list(domains, &DOMAINS));
                put("Functions", &Value::from(functions).to_string());
                "BatchSetLiveDomainConfigs"
            }
            Self::DeleteFunctions(domains, functions) => {
                put("DomainNames", &list(domains, &DOMAINS));
                put("FunctionNames", &list(functions, &FUNCTIONS));
                "BatchDeleteLiveDomainConfigs"
            }
            Self::AddDomain(d, push) => {
                put("DomainName", domain(*d));
                put(
                    "LiveDomainType",
                    if *push { "liveEdge" } else { "liveVideo" },
                );
                put("Region", "cn-shanghai");
                "AddLiveDomain"
            }
            Self::DeleteDomain(d) => {
                put("DomainName", domain(*d));
                "DeleteLiveDomain"
            }
            Self::Map(push, pull) | Self::Unmap(push, pull) => {
                put("PushDomain", domain(*push));
                put("PullDomain", domain(*pull));
                match self {
                    Self::Map(..) => "AddLiveDomainMapping",
                    _ => "DeleteLiveDomainMapping",
                }
            }
        };
        (action, query.finish())
    }
}

fn address(n: u8) -> String {
    format!("http://127.0.0.1:9/{n}")
}

fn args(function: usize, n: u8) -> Vec<(String, String)> {
    match FUNCTIONS[function] {
        "aliauth" => vec![
            ("auth_type".into(), "type_a".into()),
            ("auth_key1".into(), format!("key{n}")),
        ],
        _ => vec![("value".into(), n.to_string())],
    }
}

/// A declared domain: for ingest, for streaming, or neither; and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    push: bool,
    leads_to: Option<usize>,
}

/// What the settings are, as plainly as can be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    declared_only: bool,
    domains: BTreeMap<usize, Declared>,
    rules: BTreeMap<(usize, usize), (i64, i64)>,
    notify: BTreeMap<usize, (u8, bool)>,
    stream_notify: BTreeMap<usize, u8>,
    functions: BTreeMap<usize, BTreeMap<usize, u8>>,
}

type Told = Result<(), &'static str>;

impl Model {
    fn known(&self, d: usize) -> Told {
        let known = !self.declared_only || self.domains.contains_key(&d);
        known.then_some(()).ok_or("InvalidDomain.NotFound")
    }

    fn not_for(&self, push: bool, d: usize) -> Told {
        self.known(d)?;
        match self.domains.get(&d) {
            Some(declared) if declared.push == push => Err("IllegalOperation"),
            _ => Ok(()),
        }
    }

    fn typed(&self, d: usize, push: bool) -> Told {
        match self.domains.get(&d) {
            Some(declared) if declared.push != push => Err("DomainType.Malformed"),
            _ => Ok(()),
        }
    }

    fn is_led_to(&self, d: usize) -> bool {
        let mut all = self.domains.values();
        all.any(|declared| declared.leads_to == Some(d))
    }

    fn apply(&mut self, op: &Op) -> Told {
        const GONE: &str = "InvalidConfig.NotFound";
        match op {
            Op::AddRule(d, a, delay) => {
                self.not_for(true, *d)?;
                if self.rules.contains_key(&(*d, *a)) {
                    return Err("AlreadyExist");
                }
                self.rules.insert((*d, *a), (*delay, 0));
            }
            Op::UpdateRule(d, a, delay, mode) => {
                self.not_for(true, *d)?;
                let rule = self.rules.get_mut(&(*d, *a)).ok_or(GONE)?;
                rule.0 = delay.unwrap_or(rule.0);
                rule.1 = mode.unwrap_or(rule.1);
            }
            Op::DeleteRule(d, a) => {
                self.not_for(true, *d)?;
                self.rules.remove(&(*d, *a)).ok_or(GONE)?;
            }
            Op::AddNotify(d, url) => {
                self.not_for(true, *d)?;
                if self.notify.contains_key(d) {
                    return Err("AlreadyExist");
                }
                self.notify.insert(*d, (*url, false));
            }
            Op::UpdateNotify(d, url, status) => {
                self.not_for(true, *d)?;
                let notify = self.notify.get_mut(d).ok_or(GONE)?;
                notify.0 = *url;
                notify.1 = status.unwrap_or(notify.1);
            }
            Op::DeleteNotify(d) => {
                self.not_for(true, *d)?;
                self.notify.remove(d).ok_or(GONE)?;
            }
            Op::SetStreamNotify(d, url) => {
                self.not_for(false, *d)?;
                self.stream_notify.insert(*d, *url);
            }
            Op::DeleteStreamNotify(d) => {
                self.known(*d)?;
                self.stream_notify.remove(d).ok_or(GONE)?;
            }
            Op::SetFunctions(domains, functions) => {
                domains.iter().try_for_each(|d| self.known(*d))?;
                for d in domains {
                    self.functions.entry(*d).or_default().extend(functions);
                }
            }
            Op::DeleteFunctions(domains, functions) => {
                domains.iter().try_for_each(|d| self.known(*d))?;
                for d in domains {
                    let stored = self.functions.entry(*d).or_default();
                    stored.retain(|function, _| !functions.contains(function));
                }
            }
            Op::AddDomain(d, push) => {
                if self.domains.contains_key(d) {
                    return Err("AlreadyExist");
                }
                if *push && self.is_led_to(*d) {
                    return Err("DomainType.Malformed");
                }
                let declared = Declared {
                    push: *push,
                    leads_to: None,
                };
                self.domains.insert(*d, declared);
            }
            Op::DeleteDomain(d) => self.forget(*d)?,
            Op::Map(push, pull) => {
                self.known(*push)?;
                self.known(*pull)?;
                self.typed(*push, true)?;
                self.typed(*pull, false)?;
                if push == pull || self.is_led_to(*push) {
                    return Err("DomainType.Malformed");
                }
                let declared = self.domains.entry(*push).or_insert(Declared {
                    push: true,
                    leads_to: None,
                });
                if declared.leads_to.is_some() {
                    return Err("AlreadyExist");
                }
                declared.leads_to = Some(*pull);
            }
            Op::Unmap(push, pull) => {
                self.known(*push)?;
                self.known(*pull)?;
                self.typed(*push, true)?;
                self.typed(*pull, false)?;
                let declared = self.domains.get_mut(push);
                let mapped = declared.filter(|declared| declared.leads_to == Some(*pull));
                mapped.ok_or(GONE)?.leads_to = None;
            }
        }
        self.functions.retain(|_, stored| !stored.is_empty());
        Ok(())
    }

    fn forget(&mut self, d: usize) -> Told {
        let before = self.clone();
        self.domains.remove(&d);
        self.rules.retain(|(of, _), _| *of != d);
        self.notify.remove(&d);
        self.stream_notify.remove(&d);
        self.functions.remove(&d);
        for declared in self.domains.values_mut() {
            if declared.leads_to == Some(d) {
                declared.leads_to = None;
            }
        }
        if *self == before {
            return Err("InvalidDomain.NotFound");
        }
        Ok(())
    }

    /// What a store would have to hold.
    fn stored(&self) -> Value {
        let name = |d: &usize| domain(*d);
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|((d, a), (delay, mode))| json!([domain(*d), APPS[*a], delay, mode]))
            .collect();
        let notify: Vec<Value> = self
            .notify
            .iter()
            .map(|(d, (url, status))| json!([name(d), address(*url), status]))
            .collect();
        let stream: Vec<Value> = self
            .stream_notify
            .iter()
            .map(|(d, url)| json!([name(d), address(*url)]))
            .collect();
        let functions: Vec<Value> = self
            .functions
            .iter()
            .map(|(d, of)| {
                let of: BTreeMap<&str, Vec<(String, String)>> = of
                    .iter()
                    .map(|(f, n)| (FUNCTIONS[*f], args(*f, *n)))
                    .collect();
                json!([name(d), of])
            })
            .collect();
        let domains: Vec<Value> = self
            .domains
            .iter()
            .map(|(d, of)| {
                let kind = if of.push { "liveEdge" } else { "liveVideo" };
                json!([name(d), kind, of.leads_to.as_ref().map(name)])
            })
            .collect();
        json!({"rules": rules, "notify": notify, "stream": stream, "functions": functions, "domains": domains})
    }
}

/// The same of a store.
async fn held(store: &Store) -> Value {
    let mut rules: Vec<Value> = store
        .all_rules()
        .iter()
        .map(|rule| json!([rule.domain, rule.app, rule.delay_s, rule.on_demand.code()]))
        .collect();
    rules.sort_by_key(Value::to_string);
    let documents = |kind| async move {
        let all: Vec<(String, Value)> = store.list_documents(kind).await.unwrap();
        all
    };
    let notify: Vec<Value> = documents(Kind::RecordNotify)
        .await
        .into_iter()
        .map(|(name, of)| json!([name, of["notify_url"], of["need_status_notify"]]))
        .collect();
    let stream: Vec<Value> = documents(Kind::StreamNotify)
        .await
        .into_iter()
        .map(|(name, of)| json!([name, of["notify_url"]]))
        .collect();
    let domains: Vec<Value> = documents(Kind::Domain)
        .await
        .into_iter()
        .map(|(name, of)| json!([name, of["kind"], of["play_domain"]]))
        .collect();
    let functions: Vec<(String, Vec<Function>)> =
        store.list_documents(Kind::DomainConfig).await.unwrap();
    let functions: Vec<Value> = functions
        .into_iter()
        .map(|(name, of)| {
            let ids: BTreeSet<i64> = of.iter().map(|function| function.id).collect();
            assert_eq!(ids.len(), of.len(), "an id given twice: {of:?}");
            let of: BTreeMap<String, Vec<(String, String)>> =
                of.into_iter().map(|f| (f.name, f.args)).collect();
            json!([name, of])
        })
        .collect();
    json!({"rules": rules, "notify": notify, "stream": stream, "functions": functions, "domains": domains})
}

fn agrees(told: &Result<(), String>, expected: Told) -> bool {
    match (told, expected) {
        (Ok(()), Ok(())) => true,
        (Err(code), Err(wanted)) => code.contains(wanted),
        _ => false,
    }
}

/// The state after an order of the calls that gives these answers and leaves this behind.
fn explained(
    model: &Model,
    calls: &mut Vec<(Op, Result<(), String>)>,
    left: &Value,
) -> Option<Model> {
    if calls.is_empty() {
        return (model.stored() == *left).then(|| model.clone());
    }
    for n in 0..calls.len() {
        let (op, told) = calls.remove(n);
        let mut next = model.clone();
        let found = if agrees(&told, next.apply(&op)) {
            explained(&next, calls, left)
        } else {
            None
        };
        calls.insert(n, (op, told));
        if found.is_some() {
            return found;
        }
    }
    None
}

async fn at_once(bed: &Arc<Testbed>, ops: Vec<Op>) -> Vec<(Op, Result<(), String>)> {
    let barrier = Arc::new(Barrier::new(ops.len()));
    let calls = ops.into_iter().map(|op| {
        let (bed, barrier) = (Arc::clone(bed), Arc::clone(&barrier));
        tokio::spawn(async move {
            let (action, query) = op.call();
            barrier.wait().await;
            let told = bed.call(action, &query).await;
            (op, told.map(|_| ()).map_err(|(code, _)| code))
        })
    });
    let mut told = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        told.push(call.await.unwrap());
    }
    told
}

async fn rounds(declared_only: bool, rounds: Vec<Vec<Op>>) {
    let setting: &[(&str, &str)] = if declared_only {
        &[("domains", "declared")]
    } else {
        &[]
    };
    let bed = Arc::new(Testbed::with(setting).await);
    let mut model = Model {
        declared_only,
        ..Model::default()
    };
    for ops in rounds {
        let mut told = at_once(&bed, ops).await;
        let left = held(&bed.ctx.services.store).await;
        let Some(next) = explained(&model, &mut told, &left) else {
            panic!(
                "no order of {told:#?}\nafter {:#}\ngives {left:#}",
                model.stored()
            );
        };
        model = next;
    }
    // Memory and database agree.
    let stored = Store::open(&bed.database()).await.unwrap();
    assert_eq!(held(&stored).await, model.stored());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn calls_at_once_have_an_order(
        declared_only in any::<bool>(),
        ops in prop::collection::vec(prop::collection::vec(op(), 2..6), 1..5),
    ) {
        runtime().block_on(rounds(declared_only, ops));
    }
}

#[test]
fn five_settings_of_one_domain_at_once_all_hold() {
    let set = |n: usize| Op::SetFunctions([0].into(), [(n, 1)].into());
    let delete = |n: usize| Op::DeleteFunctions([0].into(), [n].into());
    for _ in 0..4 {
        let five = (0..FUNCTIONS.len()).map(set).collect();
        let none = (0..FUNCTIONS.len()).map(delete).collect();
        runtime().block_on(rounds(false, vec![five, none]));
    }
}

#[test]
fn of_two_that_add_one_rule_one_is_refused_and_the_limit_is_exact() {
    runtime().block_on(async {
        let bed = Arc::new(Testbed::new().await);
        let most = super::record::config::MOST_RULES;
        let first = crate::model::rule::tests::rule("app0", "*");
        let rules = (2..most).map(|n| crate::model::rule::Rule {
            domain: domain(0).to_owned(),
            app: format!("app{n}"),
            ..first.clone()
        });
        let rules: Vec<_> = rules.collect();
        let store = &bed.ctx.services.store;
        let filled = store.change(Default::default(), move |view| {
            rules.iter().cloned().for_each(|rule| {
                view.add_rule(rule);
            });
            Ok::<_, crate::store::StoreError>(())
        });
        filled.await.unwrap().unwrap();
        // Room for two; each of ten is asked for twice.
        let calls = (0..20).map(|n| {
            let bed = Arc::clone(&bed);
            let query = format!(
                "DomainName={}&AppName=new{}&OssEndpoint=e.example.com&OssBucket=bucket&RecordFormat.1.Format=flv",
                domain(0),
                n / 2
            );
            tokio::spawn(async move { bed.call("AddLiveAppRecordConfig", &query).await.map_err(|(code, _)| code) })
        });
        let mut told = BTreeMap::new();
        for call in calls.collect::<Vec<_>>() {
            let code = call.await.unwrap().err().unwrap_or_default();
            *told.entry(code).or_insert(0) += 1;
        }
        assert_eq!(told.get(""), Some(&2), "{told:?}");
        assert_eq!(store.rules_of(domain(0)).len(), most);
    });
}
