//! Tasks, notes and appointments.

use reqwest::Method;

use super::auth::TASKS_READ;
use super::contacts::{gone, not_denied, read, write};
use super::wire::{
    Appointment, AppointmentsAnswer, Completed, NewTask, Note, NoteAnswer, NotesAnswer, Task, TaskAnswer, TaskPatch,
    TaskSearch, TasksAnswer, TasksFound,
};
use super::{Answer, Call, Error, Ghl, Listed, NO_BODY};
use crate::model::{ContactId, ObjectId};

impl Ghl {
    /// All tasks of a contact; the call has no pages (G §6.10).
    pub async fn tasks(&self, contact: &ContactId) -> Result<Listed<Task>, Error> {
        let path = ["contacts", contact.as_str(), "tasks"];
        let call = read("tasks", &path, &[]).about("contact", contact.as_str());
        let answer = self.call(call, NO_BODY, Answer::json::<TasksAnswer>).await?;
        Ok(self.listed("tasks", answer.tasks))
    }

    /// One task (G §6.10).
    pub async fn task(&self, contact: &ContactId, task: &ObjectId) -> Result<Task, Error> {
        let path = ["contacts", contact.as_str(), "tasks", task.as_str()];
        let call = read("task", &path, &[]).about("task", task.as_str());
        self.call(call, NO_BODY, one_task).await
    }

    /// Creates a task (G §6.11).
    pub async fn create_task(&self, contact: &ContactId, task: &NewTask) -> Result<Task, Error> {
        let path = ["contacts", contact.as_str(), "tasks"];
        self.call(write("create_task", Method::POST, &path), Some(task), one_task).await
    }

    /// Changes what the patch names (G §6.12).
    pub async fn update_task(&self, contact: &ContactId, task: &ObjectId, patch: &TaskPatch) -> Result<Task, Error> {
        let path = ["contacts", contact.as_str(), "tasks", task.as_str()];
        let call = write("update_task", Method::PUT, &path).about("task", task.as_str());
        self.call(call, Some(patch), one_task).await
    }

    /// Ticks a task off, or opens it again (G §6.13).
    pub async fn complete_task(&self, contact: &ContactId, task: &ObjectId, completed: bool) -> Result<Task, Error> {
        let path = ["contacts", contact.as_str(), "tasks", task.as_str(), "completed"];
        let call = write("complete_task", Method::PUT, &path).about("task", task.as_str());
        self.call(call, Some(&Completed { completed }), one_task).await
    }

    /// Deletes a task (G §6.14). One that is gone already is done.
    pub async fn delete_task(&self, contact: &ContactId, task: &ObjectId) -> Result<(), Error> {
        let path = ["contacts", contact.as_str(), "tasks", task.as_str()];
        let call = write("delete_task", Method::DELETE, &path).about("task", task.as_str());
        gone(self.call(call, NO_BODY, not_denied).await)
    }

    /// A page of the location's tasks (G §7.3): for a task whose contact is not known.
    pub async fn search_tasks(&self, search: &TaskSearch) -> Result<Listed<Task>, Error> {
        let path = ["locations", self.location_id().as_str(), "tasks", "search"];
        let call = Call { scope: TASKS_READ, method: Method::POST, ..read("search_tasks", &path, &[]) };
        let answer = self.call(call, Some(search), Answer::json::<TasksFound>).await?;
        Ok(self.listed("search_tasks", answer.tasks))
    }

    /// All notes of a contact; the call has no pages (G §6.15).
    pub async fn notes(&self, contact: &ContactId) -> Result<Listed<Note>, Error> {
        let path = ["contacts", contact.as_str(), "notes"];
        let call = read("notes", &path, &[]).about("contact", contact.as_str());
        let answer = self.call(call, NO_BODY, Answer::json::<NotesAnswer>).await?;
        Ok(self.listed("notes", answer.notes))
    }

    /// One note (G §6.15).
    pub async fn note(&self, contact: &ContactId, note: &ObjectId) -> Result<Note, Error> {
        let path = ["contacts", contact.as_str(), "notes", note.as_str()];
        let call = read("note", &path, &[]).about("note", note.as_str());
        self.call(call, NO_BODY, |answer| Ok(answer.json::<NoteAnswer>()?.note)).await
    }

    /// All appointments of a contact (G §6.19).
    pub async fn appointments(&self, contact: &ContactId) -> Result<Listed<Appointment>, Error> {
        let path = ["contacts", contact.as_str(), "appointments"];
        let call = read("appointments", &path, &[]).about("contact", contact.as_str());
        let answer = self.call(call, NO_BODY, Answer::json::<AppointmentsAnswer>).await?;
        Ok(self.listed("appointments", answer.events))
    }
}

fn one_task(answer: &Answer) -> Result<Task, Error> {
    Ok(answer.json::<TaskAnswer>()?.task)
}
