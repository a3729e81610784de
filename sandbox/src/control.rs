//! The control calls that both emulators have: failures, journal, complaints.

use serde_json::{Value, json};

use crate::faults::{Fault, Matcher, Rates};
use crate::front::{Answer, Call, Desk};

/// What both understand, for the text at `GET /`.
pub(crate) const SHARED: &str = "\
POST   /_control/faults        {\"method\",\"path\",\"count\",\"fault\":{\"kind\",...}}  or  {\"rates\":{...},\"seed\"}, confined by \"method\",\"path\"
DELETE /_control/faults        forget failures
GET    /_control/journal       calls that came
DELETE /_control/journal       forget them
GET    /_control/complaints    what a correct client would not have done
DELETE /_control/complaints    forgive
kinds of fault: status {status}, status_with_body {status, body}, too_many_requests {retry_after}, slow {ms},
  done_then_slow {ms}, cut_short, html {status}, done_then_dropped, dropped_then_done {ms}, done_then_status {status},
  status_then_done {status, body, ms}, refuse
rates, each from 0 to 1: status_500, status_429, done_then_dropped, cut_short, gateway,
  dropped_then_done, refused_then_done, foreign_then_done with late_max_ms
";

pub(crate) fn bad(text: &str) -> Answer {
    Answer::json(400, &json!({ "error": text }))
}

pub(crate) fn missing(call: &Call) -> Answer {
    Answer::json(404, &json!({ "error": format!("nothing at {}", call.name()) }))
}

/// The answer to a shared control call; `None` when it is not one.
pub(crate) fn answer(desk: &Desk, call: &Call) -> Option<Answer> {
    let journal = &desk.journal;
    Some(match (call.method.as_str(), call.segments().get(1..).unwrap_or_default()) {
        ("POST", ["faults"]) => match script(desk, &call.json().unwrap_or_default()) {
            Some(()) => Answer::json(200, &json!({ "unspent": desk.faults.unspent() })),
            None => bad("which fault?"),
        },
        ("DELETE", ["faults"]) => {
            desk.faults.clear();
            Answer::empty(204)
        }
        ("GET", ["journal"]) => Answer::json(
            200,
            &json!({
                "entries": journal.entries(), "calls": journal.calls(), "max_in_flight": journal.max_in_flight(),
            }),
        ),
        ("DELETE", ["journal"]) => {
            journal.clear();
            Answer::empty(204)
        }
        ("GET", ["complaints"]) => Answer::json(200, &json!(journal.complaints())),
        ("DELETE", ["complaints"]) => {
            journal.forgive();
            Answer::empty(204)
        }
        _ => return None,
    })
}

fn script(desk: &Desk, body: &Value) -> Option<()> {
    let path = body["path"].as_str().unwrap_or_default();
    let matcher = body["method"].as_str().map_or_else(|| Matcher::path(path), |method| Matcher::new(method, path));
    if let Some(rates) = body.get("rates") {
        let rate = |key: &str| rates[key].as_f64().unwrap_or(0.0);
        let rates = Rates {
            status_500: rate("status_500"),
            status_429: rate("status_429"),
            done_then_dropped: rate("done_then_dropped"),
            cut_short: rate("cut_short"),
            dropped_then_done: rate("dropped_then_done"),
            gateway: rate("gateway"),
            refused_then_done: rate("refused_then_done"),
            foreign_then_done: rate("foreign_then_done"),
            late_max_ms: u32::try_from(rates["late_max_ms"].as_u64().unwrap_or(0)).ok()?,
        };
        let seed = body["seed"].as_u64().unwrap_or(0);
        if body["path"].is_string() || body["method"].is_string() {
            desk.faults.set_rates_for(matcher, rates, seed);
        } else {
            desk.faults.set_rates(rates, seed);
        }
        return Some(());
    }
    let count = body["count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
    desk.faults.push(matcher.times(count), fault(&body["fault"])?);
    Some(())
}

fn fault(spec: &Value) -> Option<Fault> {
    let status = || {
        spec["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (200..600).contains(status))
    };
    let ms = || spec["ms"].as_i64();
    Some(match spec["kind"].as_str()? {
        "status" => Fault::Status(status()?),
        "status_with_body" => Fault::StatusWithBody(status()?, spec["body"].as_str()?.to_owned()),
        "too_many_requests" => Fault::TooManyRequests {
            retry_after: spec["retry_after"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()),
        },
        "slow" => Fault::Slow { ms: ms()? },
        "done_then_slow" => Fault::DoneThenSlow { ms: ms()? },
        "cut_short" => Fault::CutShort,
        "html" => Fault::Html(status()?),
        "done_then_dropped" => Fault::DoneThenDropped,
        "dropped_then_done" => Fault::DroppedThenDone { after_ms: ms()? },
        "done_then_status" => Fault::DoneThenStatus(status()?),
        "status_then_done" => {
            Fault::StatusThenDone { status: status()?, body: spec["body"].as_str()?.to_owned(), after_ms: ms()? }
        }
        "refuse" => Fault::Refuse,
        _ => return None,
    })
}
