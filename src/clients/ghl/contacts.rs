//! Contacts, their tags, and the location's own record.

use reqwest::Method;

use super::auth::{CONTACTS_READ, CONTACTS_WRITE, CUSTOM_FIELDS_READ, LOCATIONS_READ};
use super::wire::{
    Contact, ContactAnswer, ContactList, ContactPage, ContactPatch, ContactSearch, ContactSearchBody, CustomField,
    CustomFieldsAnswer, LocationAnswer, LocationRecord, NewContact, NewContactBody, Success, Tags, TagsAnswer,
};
use super::{Answer, Call, Error, Ghl, Listed, NO_BODY, Odd};
use crate::model::{ContactId, EmailKey, ObjectId, Phone};

/// Where a page of [`Ghl::list_contacts`] begins: what the page before it said under `meta`
/// (G §6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAfter {
    /// Epoch milliseconds. Paging by the id alone has worked, too (G §6.7).
    pub start_after: Option<i64>,
    /// The last contact seen.
    pub start_after_id: ContactId,
}

impl Ghl {
    /// A contact (G §6.1).
    ///
    /// # Errors
    /// [`Error::Gone`]: HighLevel says that there is no such contact. [`Error::AnotherRecord`]: the
    /// answer is another contact's, or another location's.
    pub async fn contact(&self, id: &ContactId) -> Result<Contact, Error> {
        let path = ["contacts", id.as_str()];
        let call = read("contact", &path, &[]).about("contact", id.as_str());
        self.call(call, NO_BODY, |answer| {
            let contact = answer.json::<ContactAnswer>()?.contact;
            if contact.id == *id && self.is_here(&contact) { Ok(contact) } else { Err(Error::AnotherRecord) }
        })
        .await
    }

    /// All contacts, newest first, at most 100 a page (G §6.7; deprecated by GHL, and still
    /// answered).
    pub async fn list_contacts(&self, limit: u32, after: Option<&ListAfter>) -> Result<ContactList, Error> {
        let limit = limit.to_string();
        let start_after = after.and_then(|after| after.start_after).map(|millis| millis.to_string());
        let mut query = vec![("locationId", self.location_id().as_str()), ("limit", &limit)];
        query.extend(start_after.as_deref().map(|millis| ("startAfter", millis)));
        query.extend(after.map(|after| ("startAfterId", after.start_after_id.as_str())));
        let page: ContactList =
            self.call(read("list_contacts", &["contacts", ""], &query), NO_BODY, Answer::json).await?;
        Ok(ContactList { contacts: self.here("list_contacts", page.contacts), ..page })
    }

    /// The contacts of a business (G §6.8).
    pub async fn contacts_of_business(&self, business: &ObjectId, limit: u32, skip: u32) -> Result<ContactList, Error> {
        let limit = limit.to_string();
        let skip = skip.to_string();
        let query = [("locationId", self.location_id().as_str()), ("limit", &limit), ("skip", &skip)];
        let path = ["contacts", "business", business.as_str()];
        let page: ContactList = self.call(read("contacts_of_business", &path, &query), NO_BODY, Answer::json).await?;
        Ok(ContactList { contacts: self.here("contacts_of_business", page.contacts), ..page })
    }

    /// One page of a search (G §6.6).
    pub async fn search_contacts(&self, search: &ContactSearch) -> Result<ContactPage, Error> {
        let body = ContactSearchBody { location_id: self.location_id(), search };
        let call = Call { method: Method::POST, ..read("search_contacts", &["contacts", "search"], &[]) };
        let page: ContactPage = self.call(call, Some(&body), Answer::json).await?;
        Ok(ContactPage { contacts: self.here("search_contacts", page.contacts), ..page })
    }

    /// Is the record this location's, as far as it says?
    fn is_here(&self, contact: &Contact) -> bool {
        contact.location_id.as_ref().is_none_or(|location| location == self.location_id())
    }

    /// Contacts of a list. One that names another location is not believed: it counts as one that
    /// cannot be read.
    fn here(&self, operation: &'static str, list: Listed<Contact>) -> Listed<Contact> {
        let Listed { items, mut odd } = list;
        let (items, strangers): (Vec<_>, Vec<_>) = items.into_iter().partition(|contact| self.is_here(contact));
        odd.extend(strangers.into_iter().map(|contact| Odd { id: Some(contact.id.into()) }));
        self.listed(operation, Listed { items, odd })
    }

    /// The contact that has this e-mail address or phone number already; the location's settings
    /// decide which of the two counts first (G §6.9). Unlike a search it knows what was written a
    /// moment ago.
    pub async fn find_duplicate(
        &self,
        email: Option<&EmailKey>,
        phone: Option<&Phone>,
    ) -> Result<Option<Contact>, Error> {
        if email.is_none() && phone.is_none() {
            return Ok(None);
        }
        let mut query = vec![("locationId", self.location_id().as_str())];
        query.extend(email.map(|email| ("email", email.as_str())));
        query.extend(phone.map(|phone| ("number", phone.as_str())));
        let call = read("find_duplicate", &["contacts", "search", "duplicate"], &query).about("contact", "");
        match self.call(call, NO_BODY, duplicate).await {
            // "None" may be a 404 as well (G §13).
            Err(Error::Gone(_) | Error::Refused { status: 404, .. }) => Ok(None),
            found => found,
        }
    }

    /// Creates a contact (G §6.2). [`Error::Duplicate`] names the one that is there. Where
    /// duplicates are allowed nothing refuses a second one, so look first; and after a 422 as well,
    /// which once had created (G §4, #64).
    pub async fn create_contact(&self, contact: &NewContact) -> Result<Contact, Error> {
        let body = NewContactBody { location_id: self.location_id(), contact };
        let call = write("create_contact", Method::POST, &["contacts", ""]);
        self.call(call, Some(&body), |answer| Ok(answer.json::<ContactAnswer>()?.contact)).await
    }

    /// Changes what the patch names, and returns the whole contact (G §6.3).
    pub async fn update_contact(&self, id: &ContactId, patch: &ContactPatch) -> Result<Contact, Error> {
        let path = ["contacts", id.as_str()];
        let call = write("update_contact", Method::PUT, &path).about("contact", id.as_str());
        self.call(call, Some(patch), |answer| {
            not_denied(answer)?;
            Ok(answer.json::<ContactAnswer>()?.contact)
        })
        .await
    }

    /// Deletes a contact (G §6.4). One that is gone already is done.
    pub async fn delete_contact(&self, id: &ContactId) -> Result<(), Error> {
        let path = ["contacts", id.as_str()];
        let call = write("delete_contact", Method::DELETE, &path).about("contact", id.as_str());
        gone(self.call(call, NO_BODY, not_denied).await)
    }

    /// Adds tags, and returns all that the contact has now (G §6.20).
    pub async fn add_tags(&self, id: &ContactId, tags: &[String]) -> Result<Vec<String>, Error> {
        let path = ["contacts", id.as_str(), "tags"];
        let call = write("add_tags", Method::POST, &path);
        self.call(call, Some(&Tags { tags }), |answer| Ok(answer.json::<TagsAnswer>()?.tags)).await
    }

    /// Removes tags, and returns all that the contact has now (G §6.20).
    pub async fn remove_tags(&self, id: &ContactId, tags: &[String]) -> Result<Vec<String>, Error> {
        let path = ["contacts", id.as_str(), "tags"];
        let call = write("remove_tags", Method::DELETE, &path);
        self.call(call, Some(&Tags { tags }), |answer| Ok(answer.json::<TagsAnswer>()?.tags)).await
    }

    /// The location's record: time zone, country, whether it allows duplicates (G §7.1).
    pub async fn location(&self) -> Result<LocationRecord, Error> {
        let path = ["locations", self.location_id().as_str()];
        let call = Call { scope: LOCATIONS_READ, ..read("location", &path, &[]) };
        self.call(call, NO_BODY, |answer| {
            let LocationAnswer { location } = answer.json()?;
            match &location.id {
                Some(id) if id != self.location_id() => Err(Error::AnotherRecord),
                _ => Ok(location),
            }
        })
        .await
    }

    /// The definitions of the contacts' custom fields (G §7.2).
    pub async fn custom_fields(&self) -> Result<Listed<CustomField>, Error> {
        let path = ["locations", self.location_id().as_str(), "customFields"];
        let call = Call { scope: CUSTOM_FIELDS_READ, ..read("custom_fields", &path, &[("model", "contact")]) };
        let answer = self.call(call, NO_BODY, Answer::json::<CustomFieldsAnswer>).await?;
        Ok(self.listed("custom_fields", answer.fields))
    }
}

pub(super) fn read<'a>(operation: &'static str, path: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Call<'a> {
    Call { operation, scope: CONTACTS_READ, method: Method::GET, path, query, record: None, writes: false }
}

pub(super) fn write<'a>(operation: &'static str, method: Method, path: &'a [&'a str]) -> Call<'a> {
    Call { scope: CONTACTS_WRITE, method, writes: true, ..read(operation, path, &[]) }
}

/// "None" has no documented form: nothing at all, `null`, no `contact`, or an empty one (G §6.9,
/// G §13). A contact that cannot be read is not none.
fn duplicate(answer: &Answer) -> Result<Option<Contact>, Error> {
    if answer.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut json = answer.json::<serde_json::Value>()?;
    match json.get_mut("contact").map(serde_json::Value::take) {
        None if json.is_null() || json.is_object() => Ok(None),
        Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::Object(contact)) if contact.is_empty() => Ok(None),
        Some(contact) => serde_json::from_value(contact).map(Some).map_err(|_| Error::UNEXPECTED_BODY),
        None => Err(Error::UNEXPECTED_BODY),
    }
}

/// A 2xx may still say that it did not succeed. An empty body says nothing, which is fine.
pub(super) fn not_denied(answer: &Answer) -> Result<(), Error> {
    let empty = answer.body.trim_ascii().is_empty();
    let success = if empty { Success::default() } else { answer.json::<Success>()? };
    if success.denied() { Err(Error::Unanswered { reason: "the answer says that it did not succeed" }) } else { Ok(()) }
}

/// What was to be deleted and is not there is done (G §6.4).
pub(super) fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Gone(_)) => Ok(()),
        result => result,
    }
}
