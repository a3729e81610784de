//! The operations that this GoHighLevel offers (G §6, §7.1 to §7.3).

use super::checks::{self, Shape};
use crate::journal::Class;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the rows of G §6")]
pub enum Verb {
    SearchContacts,
    FindDuplicate,
    ListContacts,
    ContactsOfBusiness,
    GetContact,
    CreateContact,
    UpsertContact,
    UpdateContact,
    DeleteContact,
    ListTasks,
    GetTask,
    CreateTask,
    UpdateTask,
    SetTaskStatus,
    DeleteTask,
    ListNotes,
    GetNote,
    CreateNote,
    UpdateNote,
    DeleteNote,
    ListAppointments,
    AddTags,
    RemoveTags,
    BulkTags,
    BulkBusiness,
    AddFollowers,
    RemoveFollowers,
    JoinCampaign,
    LeaveCampaign,
    LeaveCampaigns,
    JoinWorkflow,
    LeaveWorkflow,
    GetLocation,
    ListCustomFields,
    SearchTasks,
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct Operation {
    /// What it does.
    pub verb: Verb,
    /// HTTP method.
    pub method: &'static str,
    /// Path template, as the official file writes it.
    pub path: &'static str,
    /// Scope that a token needs (G §3.8).
    pub scope: &'static str,
    /// How the journal counts it.
    pub class: Class,
    /// Keys of the body, where there is one.
    pub shape: Option<&'static Shape>,
    /// Status when all is well (G §6).
    pub ok: u16,
}

const READ: &str = "contacts.readonly";
const WRITE: &str = "contacts.write";

macro_rules! row {
    ($verb:ident $method:literal $path:literal $scope:expr, $class:ident, $shape:expr, $ok:literal) => {
        Operation {
            verb: Verb::$verb,
            method: $method,
            path: $path,
            scope: $scope,
            class: Class::$class,
            shape: $shape,
            ok: $ok,
        }
    };
}

/// Every operation; of two rows that fit a path the first one is meant.
pub static OPERATIONS: &[Operation] = &[
    row!(SearchContacts "POST" "/contacts/search" READ, Search, Some(&checks::SEARCH), 200),
    row!(FindDuplicate "GET" "/contacts/search/duplicate" READ, Search, None, 200),
    row!(ContactsOfBusiness "GET" "/contacts/business/{businessId}" READ, Search, None, 200),
    row!(ListContacts "GET" "/contacts/" READ, Search, None, 200),
    row!(CreateContact "POST" "/contacts/" WRITE, Contact, Some(&checks::CREATE_CONTACT), 201),
    row!(UpsertContact "POST" "/contacts/upsert" WRITE, Contact, Some(&checks::UPSERT_CONTACT), 200),
    row!(BulkTags "POST" "/contacts/bulk/tags/update/{type}" WRITE, Contact, Some(&checks::BULK_TAGS), 201),
    row!(BulkBusiness "POST" "/contacts/bulk/business" WRITE, Contact, Some(&checks::BULK_BUSINESS), 200),
    row!(GetContact "GET" "/contacts/{contactId}" READ, Contact, None, 200),
    row!(UpdateContact "PUT" "/contacts/{contactId}" WRITE, Contact, Some(&checks::UPDATE_CONTACT), 200),
    row!(DeleteContact "DELETE" "/contacts/{contactId}" WRITE, Contact, None, 200),
    row!(ListTasks "GET" "/contacts/{contactId}/tasks" READ, Tasks, None, 200),
    row!(GetTask "GET" "/contacts/{contactId}/tasks/{taskId}" READ, Tasks, None, 200),
    row!(CreateTask "POST" "/contacts/{contactId}/tasks" WRITE, Tasks, Some(&checks::CREATE_TASK), 201),
    row!(UpdateTask "PUT" "/contacts/{contactId}/tasks/{taskId}" WRITE, Tasks, Some(&checks::UPDATE_TASK), 200),
    row!(SetTaskStatus "PUT" "/contacts/{contactId}/tasks/{taskId}/completed" WRITE, Tasks, Some(&checks::TASK_STATUS), 200),
    row!(DeleteTask "DELETE" "/contacts/{contactId}/tasks/{taskId}" WRITE, Tasks, None, 200),
    row!(ListNotes "GET" "/contacts/{contactId}/notes" READ, Notes, None, 200),
    row!(GetNote "GET" "/contacts/{contactId}/notes/{id}" READ, Notes, None, 200),
    row!(CreateNote "POST" "/contacts/{contactId}/notes" WRITE, Notes, Some(&checks::CREATE_NOTE), 201),
    row!(UpdateNote "PUT" "/contacts/{contactId}/notes/{id}" WRITE, Notes, Some(&checks::UPDATE_NOTE), 200),
    row!(DeleteNote "DELETE" "/contacts/{contactId}/notes/{id}" WRITE, Notes, None, 200),
    row!(ListAppointments "GET" "/contacts/{contactId}/appointments" READ, Appointments, None, 200),
    row!(AddTags "POST" "/contacts/{contactId}/tags" WRITE, Contact, Some(&checks::TAGS), 201),
    row!(RemoveTags "DELETE" "/contacts/{contactId}/tags" WRITE, Contact, Some(&checks::TAGS), 200),
    row!(AddFollowers "POST" "/contacts/{contactId}/followers" WRITE, Contact, Some(&checks::FOLLOWERS), 201),
    row!(RemoveFollowers "DELETE" "/contacts/{contactId}/followers" WRITE, Contact, Some(&checks::FOLLOWERS), 200),
    row!(LeaveCampaigns "DELETE" "/contacts/{contactId}/campaigns/removeAll" WRITE, Contact, None, 200),
    row!(JoinCampaign "POST" "/contacts/{contactId}/campaigns/{campaignId}" WRITE, Contact, Some(&checks::CAMPAIGN), 201),
    row!(LeaveCampaign "DELETE" "/contacts/{contactId}/campaigns/{campaignId}" WRITE, Contact, None, 200),
    row!(JoinWorkflow "POST" "/contacts/{contactId}/workflow/{workflowId}" WRITE, Contact, Some(&checks::WORKFLOW), 200),
    row!(LeaveWorkflow "DELETE" "/contacts/{contactId}/workflow/{workflowId}" WRITE, Contact, Some(&checks::WORKFLOW), 200),
    row!(GetLocation "GET" "/locations/{locationId}" "locations.readonly", Metadata, None, 200),
    row!(ListCustomFields "GET" "/locations/{locationId}/customFields" "locations/customFields.readonly", Metadata, None, 200),
    row!(SearchTasks "POST" "/locations/{locationId}/tasks/search" "locations/tasks.readonly", TaskSearch, Some(&checks::TASK_SEARCH), 200),
];

/// The operation behind a call, with the path's variable parts in order.
pub(crate) fn find<'a>(method: &str, segments: &[&'a str]) -> Option<(&'static Operation, Vec<&'a str>)> {
    OPERATIONS.iter().filter(|row| row.method == method).find_map(|row| {
        let wanted: Vec<&str> = row.path.split('/').filter(|part| !part.is_empty()).collect();
        if wanted.len() != segments.len() {
            return None;
        }
        let mut variables = Vec::new();
        for (want, have) in wanted.iter().zip(segments) {
            if want.starts_with('{') {
                variables.push(*have);
            } else if want != have {
                return None;
            }
        }
        Some((row, variables))
    })
}
