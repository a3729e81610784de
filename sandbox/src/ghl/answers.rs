//! From an operation to the function that answers it.

use serde_json::{Value, json};

use super::Shared;
use super::activity::Sort;
use super::admission::{Admitted, refusal};
use super::catalogue::Verb;
use super::state::NotFound;
use crate::front::Answer;

impl Shared {
    pub(super) fn answer(&self, call: &Admitted<'_>) -> Answer {
        match call.operation.verb {
            Verb::SearchContacts => self.search_contacts(call),
            Verb::FindDuplicate => self.find_duplicate(call),
            Verb::ListContacts => self.list_contacts(call),
            Verb::ContactsOfBusiness => self.contacts_of_business(call),
            Verb::GetContact => self.get_contact(call),
            Verb::CreateContact => self.api_create_contact(call),
            Verb::UpsertContact => self.upsert_contact(call),
            Verb::UpdateContact => self.update_contact(call),
            Verb::DeleteContact => self.api_delete_contact(call),
            Verb::ListTasks => self.list_activities(call, Sort::Task, "tasks"),
            Verb::GetTask => self.get_activity(call, Sort::Task, "task"),
            Verb::CreateTask => self.create_activity(call, Sort::Task, "task"),
            Verb::UpdateTask => self.update_activity(call, Sort::Task, "task"),
            Verb::SetTaskStatus => self.set_task_status(call),
            Verb::DeleteTask => self.remove_activity(call, Sort::Task),
            Verb::ListNotes => self.list_activities(call, Sort::Note, "notes"),
            Verb::GetNote => self.get_activity(call, Sort::Note, "note"),
            Verb::CreateNote => self.create_activity(call, Sort::Note, "note"),
            Verb::UpdateNote => self.update_activity(call, Sort::Note, "note"),
            Verb::DeleteNote => self.remove_activity(call, Sort::Note),
            Verb::ListAppointments => self.list_activities(call, Sort::Appointment, "events"),
            Verb::AddTags | Verb::RemoveTags => self.change_tags(call),
            Verb::BulkTags => self.bulk_tags(call),
            Verb::BulkBusiness => self.bulk_business(call),
            Verb::AddFollowers | Verb::RemoveFollowers => self.change_followers(call),
            Verb::JoinCampaign
            | Verb::LeaveCampaign
            | Verb::LeaveCampaigns
            | Verb::JoinWorkflow
            | Verb::LeaveWorkflow => self.for_contact(call, || self.ok(call, &json!({ "succeded": true }))),
            Verb::GetLocation => self.get_location(call),
            Verb::ListCustomFields => self.list_custom_fields(call),
            Verb::SearchTasks => self.search_tasks(call),
        }
    }

    pub(super) fn ok(&self, call: &Admitted<'_>, body: &Value) -> Answer {
        Answer::json(call.operation.ok, body)
    }

    /// A missing object, in the disguise of the day. No complaint: things may vanish under a
    /// correct client.
    pub(super) fn absent(&self, message: &str) -> Answer {
        let status = match self.state().not_found {
            NotFound::BadRequest => 400,
            NotFound::NotFound => 404,
        };
        refusal(status, &json!(message))
    }

    /// The answer when the path's contact exists in the token's location, else the refusal that
    /// `GET` has (G §4).
    pub(super) fn for_contact(&self, call: &Admitted<'_>, answer: impl FnOnce() -> Answer) -> Answer {
        let id = call.at(0);
        if self.state().contact(&call.location, id).is_none() {
            return self.absent(&format!("Contact with id {id} not found"));
        }
        answer()
    }

    /// 422 in array form, and a complaint.
    pub(super) fn unprocessable(&self, call: &Admitted<'_>, message: &str) -> Answer {
        self.complain(call.call, message);
        refusal(422, &json!([message]))
    }

    /// 400, and a complaint.
    pub(super) fn bad_request(&self, call: &Admitted<'_>, message: &str) -> Answer {
        self.complain(call.call, message);
        refusal(400, &json!(message))
    }
}
