//! Contacts over the API: one, written, matched, tagged (G §6.1 to §6.5, §6.9, §6.20, §6.21).

use serde_json::{Map, Value, json};

use super::Shared;
use super::admission::Admitted;
use super::book::Mark;
use super::catalogue::Verb;
use super::contact::{Contact, e164};
use super::state::{MatchOrder, State};
use crate::front::Answer;

/// Who already has this e-mail or phone, and which of the two said so.
fn twin(
    state: &State,
    location: &str,
    email: &str,
    phone: &str,
    but: &str,
    secondary: bool,
) -> Option<(String, &'static str)> {
    let place = state.locations.get(location)?;
    let phone = e164(phone, &place.country);
    let owner = |mark: Mark, text: &str| state.contacts.owner(location, mark, text, but).map(str::to_owned);
    let by_email = || {
        // A further e-mail matches too, the trap of G §6.5, #337.
        let further = || owner(Mark::Further, email).filter(|_| secondary);
        owner(Mark::Email, email).or_else(further).map(|id| (id, "email"))
    };
    let by_phone = || owner(Mark::Phone, &phone).map(|id| (id, "phone"));
    match place.order {
        MatchOrder::PhoneFirst if !place.allow_duplicates => by_phone().or_else(by_email),
        _ => by_email().or_else(by_phone),
    }
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> &'a str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Shared {
    pub(super) fn read(&self, id: &str) -> Value {
        self.state().contacts.get(id).map_or(Value::Null, Contact::as_read)
    }

    pub(super) fn get_contact(&self, call: &Admitted<'_>) -> Answer {
        self.for_contact(call, || self.ok(call, &json!({ "contact": self.read(call.at(0)) })))
    }

    /// The refusal that names the contact already there (G §4); `None` where nobody collides or the
    /// location does not mind.
    fn duplicate(&self, location: &str, body: &Map<String, Value>, but: &str) -> Option<Answer> {
        let state = self.state();
        if state.locations.get(location)?.allow_duplicates {
            return None;
        }
        let (id, field) = twin(&state, location, text(body, "email"), text(body, "phone"), but, false)?;
        let name = state.contacts.get(&id).map(Contact::full_name).unwrap_or_default();
        Some(Answer::json(
            400,
            &json!({
                "statusCode": 400,
                "message": "This location does not allow duplicated contacts.",
                "meta": { "contactId": id, "contactName": name, "matchingField": field },
            }),
        ))
    }

    /// Neither e-mail nor phone: 400 in production (G §6.2); the text is ours.
    fn nobody(&self, call: &Admitted<'_>) -> Option<Answer> {
        let empty = text(&call.body, "email").is_empty() && text(&call.body, "phone").is_empty();
        empty.then(|| self.bad_request(call, "Contact requires an email or a phone"))
    }

    pub(super) fn api_create_contact(&self, call: &Admitted<'_>) -> Answer {
        if let Some(refused) = self.nobody(call).or_else(|| self.duplicate(&call.location, &call.body, "")) {
            return refused;
        }
        let id = self.change(|state, now| state.create_contact(now, &call.location, &call.body)).unwrap_or_default();
        let made = self.state().contacts.get(&id).map(Contact::as_created);
        self.ok(call, &json!({ "contact": made }))
    }

    pub(super) fn update_contact(&self, call: &Admitted<'_>) -> Answer {
        let id = call.at(0);
        if self.state().contact(&call.location, id).is_none() {
            return self.absent("Contact not found");
        }
        if let Some(refused) = self.duplicate(&call.location, &call.body, id) {
            return refused;
        }
        self.change(|state, now| state.edit_contact(now, id, &call.body));
        self.ok(call, &json!({ "succeded": true, "contact": self.read(id) }))
    }

    pub(super) fn api_delete_contact(&self, call: &Admitted<'_>) -> Answer {
        let id = call.at(0);
        let known = self.state().contact(&call.location, id).is_some();
        if known && self.change(|state, now| state.delete_contact(now, id)) {
            return self.ok(call, &json!({ "succeded": true }));
        }
        self.absent("Contact not found")
    }

    /// Updates the contact that the location's order names first and says nothing of the other one
    /// (G §6.5, #37); a secondary e-mail matches as well and takes the primary one's place (#337).
    pub(super) fn upsert_contact(&self, call: &Admitted<'_>) -> Answer {
        if let Some(refused) = self.nobody(call) {
            return refused;
        }
        let mut body = call.body.clone();
        let wants_new = body.remove("createNewIfDuplicateAllowed") == Some(json!(true));
        let (email, phone) = (text(&body, "email").to_owned(), text(&body, "phone").to_owned());
        let (id, new) = self.change(|state, now| {
            let allowed = state.locations.get(&call.location).is_some_and(|location| location.allow_duplicates);
            let found = if wants_new && allowed { None } else { twin(state, &call.location, &email, &phone, "", true) };
            match found {
                None => (state.create_contact(now, &call.location, &body).unwrap_or_default(), true),
                Some((id, field)) => {
                    let (other, value) = if field == "email" {
                        ("phone", ("", phone.as_str()))
                    } else {
                        ("email", (email.as_str(), ""))
                    };
                    if twin(state, &call.location, value.0, value.1, &id, false).is_some() {
                        body.remove(other);
                    }
                    state.edit_contact(now, &id, &body);
                    (id, false)
                }
            }
        });
        self.ok(call, &json!({ "new": new, "contact": self.read(&id), "traceId": uuid::Uuid::new_v4().to_string() }))
    }

    /// `{"contact": null}` when there is none (G §6.9).
    pub(super) fn find_duplicate(&self, call: &Admitted<'_>) -> Answer {
        if call.call.query("locationId").is_none() {
            return self.unprocessable(call, "locationId must be a string");
        }
        let (number, email) =
            (call.call.query("number").unwrap_or_default(), call.call.query("email").unwrap_or_default());
        // An unescaped plus arrives as a space (G §6.9); the number is then not the one that was
        // meant.
        if number.starts_with(' ') {
            self.complain(call.call, "number begins with a space: + must be sent as %2B");
        }
        let found = twin(&self.state(), &call.location, email, number, "", false).map(|(id, _)| id);
        self.ok(call, &json!({ "contact": found.map(|id| self.read(&id)) }))
    }

    fn tags_after(&self, id: &str, given: &[String], add: bool) -> Vec<String> {
        let mut tags = self.state().contacts.get(id).map(Contact::tags).unwrap_or_default();
        if add {
            tags.extend(given.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
        } else {
            tags.retain(|tag| !given.contains(tag));
        }
        tags
    }

    fn set_tags(&self, id: &str, tags: &[String]) {
        let changes = Map::from_iter([("tags".to_owned(), json!(tags))]);
        self.change(|state, now| state.edit_contact(now, id, &changes));
    }

    /// Merges into the list, where PUT and upsert replace it (G §6.20).
    pub(super) fn change_tags(&self, call: &Admitted<'_>) -> Answer {
        self.for_contact(call, || {
            let add = call.operation.verb == Verb::AddTags;
            let given = lower(&call.body, "tags");
            let mut before = self.state().contacts.get(call.at(0)).map(Contact::tags).unwrap_or_default();
            let after = self.tags_after(call.at(0), &given, add);
            self.set_tags(call.at(0), &after);
            if add {
                before.retain(|tag| after.contains(tag));
                let added: Vec<&String> = after.iter().filter(|tag| !before.contains(tag)).collect();
                return self.ok(call, &json!({ "tags": after, "tagsAdded": added }));
            }
            self.ok(call, &json!({ "tags": after }))
        })
    }

    pub(super) fn bulk_tags(&self, call: &Admitted<'_>) -> Answer {
        let add = match call.at(0) {
            "add" => true,
            "remove" => false,
            _ => return self.bad_request(call, "type must be add or remove"),
        };
        let given = lower(&call.body, "tags");
        let clear = call.body.get("removeAllTags") == Some(&json!(true));
        let (mut errors, mut responses) = (0, Vec::new());
        for id in strings(&call.body, "contacts") {
            if self.state().contact(&call.location, &id).is_none() {
                errors += 1;
                continue;
            }
            let after = if clear && !add { Vec::new() } else { self.tags_after(&id, &given, add) };
            self.set_tags(&id, &after);
            responses.push(id);
        }
        self.ok(call, &json!({ "succeded": errors == 0, "errorCount": errors, "responses": responses }))
    }

    pub(super) fn bulk_business(&self, call: &Admitted<'_>) -> Answer {
        let changes =
            Map::from_iter([("businessId".to_owned(), call.body.get("businessId").cloned().unwrap_or_default())]);
        let mut ids = strings(&call.body, "ids");
        ids.retain(|id| self.state().contact(&call.location, id).is_some());
        for id in &ids {
            self.change(|state, now| state.edit_contact(now, id, &changes));
        }
        self.ok(call, &json!({ "success": true, "ids": ids }))
    }

    pub(super) fn change_followers(&self, call: &Admitted<'_>) -> Answer {
        self.for_contact(call, || {
            let given = strings(&call.body, "followers");
            let add = call.operation.verb == Verb::AddFollowers;
            let changed = self.state().contacts.edit(call.at(0), |contact| {
                let have = contact.followers.clone();
                let (known, new): (Vec<_>, Vec<_>) = given.into_iter().partition(|user| have.contains(user));
                if add {
                    contact.followers.extend(new.clone());
                    return json!({ "followers": contact.followers, "followersAdded": new });
                }
                contact.followers.retain(|user| !known.contains(user));
                json!({ "followers": contact.followers, "followersRemoved": known })
            });
            self.ok(call, &changed.unwrap_or_else(|| json!({})))
        })
    }
}

fn strings(body: &Map<String, Value>, key: &str) -> Vec<String> {
    body.get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn lower(body: &Map<String, Value>, key: &str) -> Vec<String> {
    strings(body, key).into_iter().map(|tag| tag.trim().to_lowercase()).collect()
}
