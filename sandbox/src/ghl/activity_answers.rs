//! Tasks, notes and appointments over the API (G §6.10 to §6.19).

use serde_json::{Map, Value, json};

use super::Shared;
use super::activity::Sort;
use super::admission::Admitted;
use crate::front::Answer;

fn wrapped(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

impl Shared {
    pub(super) fn list_activities(&self, call: &Admitted<'_>, sort: Sort, key: &str) -> Answer {
        self.for_contact(call, || {
            let all = self.state().show_all(sort, call.at(0)).unwrap_or_default();
            self.ok(call, &wrapped(key, json!(all)))
        })
    }

    /// The object as it is now, under its key, or that it is missing.
    fn current(&self, call: &Admitted<'_>, sort: Sort, key: &str, id: &str) -> Answer {
        let shown = self.state().show(sort, call.at(0), id);
        match shown {
            Some(shown) => self.ok(call, &wrapped(key, shown)),
            None => self.absent(&format!("{} not found", sort.name())),
        }
    }

    pub(super) fn get_activity(&self, call: &Admitted<'_>, sort: Sort, key: &str) -> Answer {
        self.for_contact(call, || self.current(call, sort, key, call.at(1)))
    }

    pub(super) fn create_activity(&self, call: &Admitted<'_>, sort: Sort, key: &str) -> Answer {
        self.for_contact(call, || {
            let id = self.change(|state, now| state.add_activity(now, sort, call.at(0), &call.body));
            self.current(call, sort, key, &id.unwrap_or_default())
        })
    }

    pub(super) fn update_activity(&self, call: &Admitted<'_>, sort: Sort, key: &str) -> Answer {
        self.for_contact(call, || {
            self.change(|state, now| state.edit_activity(now, sort, call.at(0), call.at(1), &call.body));
            self.current(call, sort, key, call.at(1))
        })
    }

    pub(super) fn set_task_status(&self, call: &Admitted<'_>) -> Answer {
        self.for_contact(call, || {
            let completed = call.body["completed"] == json!(true);
            self.change(|state, now| state.set_completed(now, call.at(0), call.at(1), completed));
            self.current(call, Sort::Task, "task", call.at(1))
        })
    }

    pub(super) fn remove_activity(&self, call: &Admitted<'_>, sort: Sort) -> Answer {
        self.for_contact(call, || {
            if self.change(|state, now| state.delete_activity(now, sort, call.at(0), call.at(1))) {
                return self.ok(call, &json!({ "succeded": true }));
            }
            self.absent(&format!("{} not found", sort.name()))
        })
    }
}
