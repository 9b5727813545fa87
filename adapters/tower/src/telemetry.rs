//! Metrics and events. Without the features every function is empty.

use std::time::Duration;

use tower::BoxError;
use vsched::{Outcome, Refused, ServerId};

use crate::classify::Verdict;

/// What a balancer counts. Clones share their counters.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    #[cfg(feature = "metrics")]
    metrics: std::sync::Arc<Metrics>,
}

#[cfg(feature = "metrics")]
#[derive(Debug)]
struct Metrics {
    requests: metrics::Counter,
    retries: metrics::Counter,
    /// In the order of [`OUTCOMES`].
    attempts: [metrics::Counter; OUTCOMES.len()],
    /// One per [`Refused::ALL`].
    refusals: Vec<metrics::Counter>,
    no_endpoint: metrics::Counter,
    latency: metrics::Histogram,
}

#[cfg(feature = "metrics")]
const OUTCOMES: [(Outcome, &str); 3] =
    [(Outcome::Done, "done"), (Outcome::Failed, "failed"), (Outcome::Abandoned, "abandoned")];

#[cfg(feature = "metrics")]
fn reason(refused: Refused) -> &'static str {
    match refused {
        Refused::NoService => "no_service",
        Refused::NotScheduled => "not_scheduled",
        Refused::NoScheduler => "no_scheduler",
        Refused::NoServer => "no_server",
        Refused::AllQuiesced => "all_quiesced",
        Refused::AllDown => "all_down",
        Refused::AllOverloaded => "all_overloaded",
        Refused::AllTried => "all_tried",
        Refused::NotThisFlow => "not_this_flow",
        _ => "other",
    }
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(service: &str) -> Self {
        use metrics::Unit::{Count, Seconds};
        metrics::describe_counter!("vsched_tower_requests_total", Count, "Requests.");
        metrics::describe_counter!(
            "vsched_tower_attempts_total",
            Count,
            "Requests sent to a server, by what they said of it."
        );
        metrics::describe_counter!(
            "vsched_tower_retries_total",
            Count,
            "Attempts after the first."
        );
        metrics::describe_counter!(
            "vsched_tower_refusals_total",
            Count,
            "Requests for which no server was picked, by reason."
        );
        metrics::describe_histogram!(
            "vsched_tower_response_seconds",
            Seconds,
            "Time from the pick to the response's head."
        );
        let service = || service.to_owned();
        let refusal = |reason: &'static str| metrics::counter!("vsched_tower_refusals_total", "service" => service(), "reason" => reason);
        Metrics {
            requests: metrics::counter!("vsched_tower_requests_total", "service" => service()),
            retries: metrics::counter!("vsched_tower_retries_total", "service" => service()),
            attempts: OUTCOMES.map(|(_, name)| metrics::counter!("vsched_tower_attempts_total", "service" => service(), "outcome" => name)),
            refusals: Refused::ALL.iter().map(|refused| refusal(reason(*refused))).collect(),
            no_endpoint: refusal("no_endpoint"),
            latency: metrics::histogram!("vsched_tower_response_seconds", "service" => service()),
        }
    }
}

impl Telemetry {
    /// Registers the metrics of this service with the recorder that is installed now.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
    pub(crate) fn new(service: &str) -> Self {
        Telemetry {
            #[cfg(feature = "metrics")]
            metrics: std::sync::Arc::new(Metrics::new(service)),
        }
    }

    pub(crate) fn request(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.requests.increment(1);
    }

    /// Another server is tried for a request.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(crate) fn retry(&self, failed: ServerId, attempt: usize) {
        #[cfg(feature = "metrics")]
        self.metrics.retries.increment(1);
        #[cfg(feature = "tracing")]
        tracing::debug!(?failed, attempt, "retry");
    }

    /// An attempt has a result. `error` is `None` if that is a response.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(crate) fn judged(&self, server: ServerId, verdict: Verdict, error: Option<&BoxError>) {
        #[cfg(feature = "tracing")]
        if verdict.outcome == Outcome::Failed {
            let error = error.map(|error| &**error as &(dyn std::error::Error + 'static));
            tracing::warn!(?server, error, retry = verdict.retry, "attempt failed");
        }
    }

    #[cfg_attr(not(any(feature = "metrics", feature = "tracing")), expect(unused_variables))]
    pub(crate) fn refused(&self, refused: Refused) {
        #[cfg(feature = "metrics")]
        if let Some(place) = Refused::ALL.iter().position(|known| *known == refused) {
            self.metrics.refusals[place].increment(1);
        }
        #[cfg(feature = "tracing")]
        tracing::warn!(reason = %refused, "refused");
    }

    pub(crate) fn no_endpoint(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.no_endpoint.increment(1);
        #[cfg(feature = "tracing")]
        tracing::warn!(reason = "no endpoint", "refused");
    }

    /// An exchange has ended.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
    pub(crate) fn closed(&self, outcome: Outcome, latency: Option<Duration>) {
        #[cfg(feature = "metrics")]
        {
            let place = OUTCOMES.iter().position(|(known, _)| *known == outcome);
            if let Some(counter) = place.and_then(|place| self.metrics.attempts.get(place)) {
                counter.increment(1);
            }
            if let Some(latency) = latency {
                self.metrics.latency.record(latency);
            }
        }
    }
}

pub(crate) fn endpoint_inserted() {
    #[cfg(feature = "tracing")]
    tracing::info!("endpoint inserted");
}

pub(crate) fn endpoint_removed() {
    #[cfg(feature = "tracing")]
    tracing::info!("endpoint removed");
}
