//! Metrics by a recorder, and events by a subscriber, of the test's own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::{Event, Id, Subscriber, span};
use vsched::{Config, Director, Pick};
use vsched_tower::{BalanceLayer, Fixed, HttpStatus, Idempotent};

type Body = Full<bytes::Bytes>;

#[derive(Default)]
struct Recording {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Samples>>>,
}

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().expect("no panic").push(value);
    }
}

fn text(key: &Key) -> String {
    let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
    format!("{}{:?}", key.name(), labels.collect::<Vec<_>>())
}

impl Recorder for Recording {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().expect("no panic");
        Counter::from_arc(Arc::clone(counters.entry(text(key)).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.histograms.lock().expect("no panic");
        Histogram::from_arc(Arc::clone(histograms.entry(text(key)).or_default()))
    }
}

/// Keeps what the adapter says, one line per event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("vsched_tower")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Three requests of which two are retried, one whose body is dropped, one refused, one without endpoint.
#[tokio::test]
async fn what_happens_is_counted_and_said() {
    let (recording, log) = (Recording::default(), Log::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let config: Config = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m\n\
                          -a -t 10.0.0.1:80 -r 10.0.1.2:80 -m --vsched-priority 1"
        .parse()
        .expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    let layer = BalanceLayer::new(director.handle(), "tcp 10.0.0.1:80").expect("it runs");
    let layer = layer.classify(HttpStatus::new()).retry(2, Idempotent);
    let endpoints = |pick: &Pick| {
        let first = pick.address().ip().to_string() == "10.0.1.1";
        tower::service_fn(move |request: Request<Body>| async move {
            let status = match request.uri().path() {
                "/reset" if first => return Err(std::io::Error::other("reset")),
                "/error" if first => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            };
            let body = Body::from("hello");
            Ok(Response::builder().status(status).body(body).expect("a valid response"))
        })
    };
    let balance = metrics::with_local_recorder(&recording, || layer.clone().balance(endpoints));
    let get = |path: &str| Request::get(path).body(Body::default()).expect("a valid request");
    for path in ["/", "/error", "/reset"] {
        let response = balance.clone().oneshot(get(path)).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.expect("a body");
    }
    drop(balance.clone().oneshot(get("/")).await.expect("an answer"));
    let none: Fixed<
        std::net::SocketAddr,
        tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, std::io::Error>,
    > = Fixed::from_iter([]);
    let lacking = metrics::with_local_recorder(&recording, || layer.balance(none));
    lacking.oneshot(get("/")).await.map(drop).expect_err("no endpoint");
    let quiesced = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -w 0";
    director.apply(&quiesced.parse().expect("valid rules")).expect("a valid config");
    balance.clone().oneshot(get("/")).await.map(drop).expect_err("quiesced");

    let counters = recording.counters.lock().expect("no panic");
    let counted = |key: &str| counters.get(key).map(|it| it.load(Ordering::SeqCst));
    let service = "service=tcp 10.0.0.1:80";
    for (name, label, expected) in [
        ("requests", "", 6),
        ("attempts", "outcome=done", 3),
        ("attempts", "outcome=failed", 2),
        ("attempts", "outcome=abandoned", 1),
        ("retries", "", 2),
        ("refusals", "reason=all_quiesced", 1),
        ("refusals", "reason=no_endpoint", 1),
        ("refusals", "reason=all_overloaded", 0),
    ] {
        let labels = [service, label].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>();
        let key = format!("vsched_tower_{name}_total{labels:?}");
        assert_eq!(counted(&key), Some(expected), "{key} of {:?}", counters.keys());
    }
    let histograms = recording.histograms.lock().expect("no panic");
    let samples = &histograms[&format!("vsched_tower_response_seconds{:?}", [service])];
    let samples = samples.0.lock().expect("no panic");
    assert_eq!(samples.len(), 6);
    assert!(samples.iter().all(|it| (0.0..60.0).contains(it)), "{samples:?}");

    let log = log.0.lock().expect("no panic");
    let said = |level: &str, words: &str| {
        log.iter().filter(|line| line.starts_with(level) && line.contains(words)).count()
    };
    assert_eq!(said("WARN", "attempt failed"), 2, "{log:#?}");
    assert_eq!(said("WARN", "error=reset"), 1, "{log:#?}");
    assert_eq!(said("DEBUG", "retry"), 2, "{log:#?}");
    assert_eq!(said("WARN", "all servers are quiesced"), 1, "{log:#?}");
    assert_eq!(said("WARN", "no endpoint"), 1, "{log:#?}");
}
