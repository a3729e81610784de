//! Appointments and bookings over the API (T §6): list only, no read by id, DELETE cancels.

use serde_json::{Value, json};

use super::state::{Appointment, Booking, State};
use super::{Shared, refusal};
use crate::clock;
use crate::front::{Answer, Call};

fn shown(appointment: &Appointment, state: &State) -> Value {
    let bookings: Vec<Value> = appointment
        .bookings
        .iter()
        .map(|booking| {
            // The embedded customer has no phone (T §6).
            let customer = booking.customer.and_then(|id| state.customers.get(id)).map(|customer| {
                json!({ "id": customer.id, "first_name": customer.first_name, "last_name": customer.last_name, "email": customer.email })
            });
            json!({ "id": booking.id, "status": appointment.status, "additional_persons": 0, "customer": customer })
        })
        .collect();
    json!({
        "id": appointment.id,
        "status": appointment.status,
        "start_date_time": appointment.start,
        "end_date_time": appointment.end,
        "created_at": appointment.created,
        "note": "",
        "service": { "id": appointment.service, "name": "Mentor Coaching" },
        "location": {},
        "employees": [{ "id": appointment.employee, "first_name": "Cleo", "last_name": "Silva" }],
        "bookings": bookings,
    })
}

impl Shared {
    /// Appointment id and booking id.
    pub(super) fn book(
        &self,
        customer: Option<i64>,
        start: &str,
        end: &str,
        service: i64,
        employee: i64,
    ) -> (i64, i64) {
        let mut state = self.state();
        let (id, booking) = (state.id(), state.id());
        let created = clock::with_offset(self.desk.clock.now_ms(), &jiff::tz::TimeZone::UTC);
        let appointment = Appointment {
            id,
            status: "approved".to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            created,
            service,
            employee,
            bookings: vec![Booking { id: booking, customer }],
        };
        state.appointments.insert(id, appointment);
        (id, booking)
    }

    pub(super) fn page_of_appointments(&self, call: &Call) -> Answer {
        let page = match self.page(call) {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        let state = self.state();
        let wanted = call.query("status");
        let listed =
            || state.appointments.values().rev().filter(|one| wanted.is_none_or(|status| one.status == status));
        Self::paged(&page, listed().count(), page.of(listed()).map(|one| shown(one, &state)))
    }

    pub(super) fn cancel_appointment(&self, id: &str) -> Answer {
        let mut state = self.state();
        match id.parse().ok().and_then(|id: i64| state.appointments.get_mut(&id)) {
            Some(appointment) => {
                "canceled".clone_into(&mut appointment.status);
                Answer::empty(204)
            }
            None => refusal(404, "Appointment not found"),
        }
    }

    /// The customer must exist; there is no inline creation (T §6).
    pub(super) fn create_booking(&self, call: &Call) -> Answer {
        let body = call.json().unwrap_or_default();
        for key in body.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !["service", "employee", "customer", "date", "time", "location", "status"].contains(&key.as_str()) {
                self.complain(call, &format!("unknown key {key}"));
            }
        }
        let (Some(service), Some(employee), Some(customer)) =
            (body["service"].as_i64(), body["employee"].as_i64(), body["customer"].as_i64())
        else {
            return self.refuse(call, 422, "service, employee and customer are required integers");
        };
        let start =
            format!("{}T{}:00", body["date"].as_str().unwrap_or_default(), body["time"].as_str().unwrap_or_default());
        let Some(ms) = clock::parse(&start, &jiff::tz::TimeZone::UTC) else {
            return self.refuse(call, 422, "date and time are required");
        };
        if self.state().customers.get(customer).is_none() {
            return refusal(422, "The selected customer is invalid.");
        }
        let utc = jiff::tz::TimeZone::UTC;
        let (start, end) = (clock::with_offset(ms, &utc), clock::with_offset(ms + 3_600_000, &utc));
        let (_, booking) = self.book(Some(customer), &start, &end, service, employee);
        Answer::json(201, &json!({ "id": booking }))
    }
}
