//! Every example of G §6, §7, §8.5 and §9 is read, and every body that we write is held to its
//! example.

use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;
use crate::model::{ContactId, LocationId};

macro_rules! example {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../examples/", $name, ".json"))).unwrap()
    };
}

const CONTACT: &str = "seD4PfOuKoVMLkEZqohJ";
const LOCATION: &str = "ve9EPM428h8vShlRW1KT";

fn reads<T: DeserializeOwned>(example: &Value) -> T {
    from_value(example.clone()).unwrap_or_else(|error| panic!("{error}: {example}"))
}

#[test]
fn contacts_are_read_from_every_answer() {
    let one = |example| reads::<ContactAnswer>(&example).contact;
    let list = |example| reads::<ContactList>(&example).contacts.items.remove(0);
    for (contact, id, email) in [
        (one(example!("contact")), CONTACT, Some("ada@example.com")),
        (one(example!("contact_created")), CONTACT, Some("ada@example.com")),
        (one(example!("contact_updated")), CONTACT, None),
        (one(example!("contact_upserted")), CONTACT, Some("ada@example.com")),
        (one(example!("duplicate")), CONTACT, Some("ada@example.com")),
        (reads::<ContactPage>(&example!("search")).contacts.items.remove(0), CONTACT, Some("ada@example.com")),
        (list(example!("contacts")), "ocQHyuzHvysMo5N5VsXc", Some("ada@example.com")),
        (list(example!("contacts_of_business")), "ocQHyuzHvysMo5N5VsXc", Some("ada@example.com")),
    ] {
        assert_eq!((contact.id.as_str(), contact.email.as_deref()), (id, email));
    }

    let contact = one(example!("contact"));
    assert_eq!(contact.tags, ["vip", "trafft"]);
    assert_eq!(contact.date_of_birth.as_deref(), Some("1990-09-25"));
    assert_eq!(contact.address1.as_deref(), Some("12 Example St"));
    assert_eq!(contact.custom_fields, [CustomFieldValue { id: "MgobCB14YMVKuE4Ka8p1".into(), value: json!("gold") }]);
    assert_eq!((contact.dnd_status("email"), contact.dnd_status("sms")), (Some("active"), Some("inactive")));
    let again: Contact = reads(&to_value(&contact).unwrap());
    assert_eq!(again, contact, "what was read can be kept and read again");
}

#[test]
fn one_odd_leaf_does_not_spoil_a_contact() {
    let contact: Contact = reads(&json!({
        "id": CONTACT, "firstName": 7, "city": {"odd": true}, "postalCode": 10001, "tags": null, "dnd": "true", "dndSettings": [],
        "customFields": [{"id": "a", "field_value": [1]}, {"id": "b", "value": {"c": 1}}, {"value": "no id"}, 7],
        "locationId": "not an id!", "searchAfter": "odd", "somethingNew": 1
    }));
    assert_eq!((contact.first_name.as_deref(), contact.city, contact.location_id), (Some("7"), None, None));
    assert_eq!((contact.postal_code.as_deref(), contact.dnd), (Some("10001"), Some(true)));
    let values: Vec<_> = contact.custom_fields.into_iter().map(|field| field.value).collect();
    assert_eq!(values, [json!([1]), json!({"c": 1})]);
    for known_by in ["firstName", "lastName", "name", "email", "phone"] {
        let odd = json!({ "id": CONTACT, known_by: {"odd": true} });
        assert!(from_value::<Contact>(odd).is_err(), "{known_by}: what it is cannot be known, which is not none");
    }
    for tags in [json!({}), json!(["vip", {}]), json!([[]])] {
        assert!(from_value::<Contact>(json!({ "id": CONTACT, "tags": tags })).is_err());
    }
}

#[test]
fn a_list_that_is_missing_or_unreadable_is_not_an_empty_list() {
    assert!(from_value::<TasksAnswer>(json!({})).is_err());
    assert!(from_value::<TasksAnswer>(json!({"tasks": {}})).is_err());
    assert!(from_value::<TasksAnswer>(json!({"tasks": null})).is_ok_and(|answer| answer.tasks.given() == 0));
}

#[test]
fn pages_say_where_the_next_one_begins() {
    let page: ContactPage = reads(&example!("search"));
    assert_eq!(to_value(page.next).unwrap(), json!([1788326306704_i64, CONTACT]));
    assert_eq!(page.total, Some(1));
    let meta = reads::<ContactList>(&example!("contacts")).meta.unwrap();
    assert_eq!((meta.start_after, meta.next_page), (Some(1782969506704), Some(2)));
    assert_eq!(meta.start_after_id.unwrap().as_str(), "ocQHyuzHvysMo5N5VsXc");
}

#[test]
fn activities_are_read() {
    for task in [
        reads::<TasksAnswer>(&example!("tasks")).tasks.items.remove(0),
        reads::<TaskAnswer>(&example!("task_created")).task,
    ] {
        assert_eq!((task.id.as_str(), task.completed), ("lJpzYrWdpkC2hX6t2yue", Some(false)));
        assert_eq!(task.contact_id.unwrap().as_str(), CONTACT);
    }
    for note in
        [reads::<NotesAnswer>(&example!("notes")).notes.items.remove(0), reads::<NoteAnswer>(&example!("note")).note]
    {
        assert_eq!((note.id.as_str(), note.pinned), ("HGPcayliwcdoUFzvbTok", Some(false)));
    }
    let appointment = reads::<AppointmentsAnswer>(&example!("appointments")).events.items.remove(0);
    assert_eq!(appointment.start_time.as_deref(), Some("2026-09-16 11:00:00"));
    assert_eq!(appointment.appointment_status.as_deref(), Some("confirmed"));
}

#[test]
fn tasks_are_found_under_either_key_and_in_nested_lists() {
    for tasks in [
        json!([{"_id": "a"}, {"id": "b"}]),
        json!([[{"_id": "a"}, {"id": "b"}]]),
        json!([{"id": "a", "_id": "x"}, {"title": "no id"}, 7, {"id": "b", "_id": "b"}]),
    ] {
        let found: TasksFound = reads(&json!({ "tasks": tasks }));
        let ids: Vec<_> = found.tasks.items.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
    }
}

#[test]
fn the_location_and_its_fields_are_read() {
    let location = json!({"location": {"id": LOCATION, "timezone": "America/New_York", "settings": {"allowDuplicateContact": false}}});
    let location = reads::<LocationAnswer>(&location).location;
    assert_eq!(location.settings, Some(LocationSettings { allow_duplicate_contact: Some(false) }));
    assert_eq!(location.timezone.as_deref(), Some("America/New_York"));
    let field = reads::<CustomFieldsAnswer>(&example!("custom_fields")).fields.items.remove(0);
    assert_eq!((field.name.as_deref(), field.field_key.as_deref()), (Some("Level"), Some("contact.level")));
    assert!(!reads::<Success>(&example!("deleted")).denied());
    assert!(reads::<Success>(&json!({"succeeded": false})).denied());
}

#[test]
fn webhooks_are_read_flat_and_wrapped() {
    let contact = |id: &str| id.parse::<ContactId>().ok();
    for (example, kind, id, contact_id) in [
        (example!("hook_contact"), "ContactUpdate", Some("nmFmQEsNgz6AVpgLVUJ0"), None),
        (example!("hook_dnd"), "ContactDndUpdate", Some("nmFmQEsNgz6AVpgLVUJ0"), None),
        (example!("hook_task"), "TaskCreate", Some("UlRWGLSXh0ji5qbiGu4i"), contact(CONTACT)),
        (example!("hook_note"), "NoteCreate", Some("otg8dTQqGLh3Q6iQI55w"), contact(CONTACT)),
        (example!("hook_appointment"), "AppointmentUpdate", None, None),
        (example!("hook_install"), "INSTALL", None, None),
        (example!("hook_uninstall"), "UNINSTALL", None, None),
        (example!("hook_location"), "LocationUpdate", Some(LOCATION), None),
    ] {
        let flat: Envelope = reads(&example);
        assert_eq!((flat.kind.as_deref(), flat.id.as_deref(), flat.contact_id.clone()), (Some(kind), id, contact_id));
        assert_eq!(flat.location_id.is_some(), kind != "LocationUpdate");
        assert_eq!(flat.appointment.is_some(), kind == "AppointmentUpdate");
        let inside: Envelope = reads(&json!({"type": kind, "id": null, "data": example}));
        assert_eq!(inside, flat);
    }
    let hook: Envelope = reads(&example!("hook_appointment"));
    let appointment = EnvelopeAppointment { id: "0007BWpSzSwfiuSl0tR2".parse().ok(), contact_id: contact(CONTACT) };
    assert_eq!(hook.appointment, Some(appointment));
    assert_eq!(hook.webhook_id.as_deref(), Some("a4c5d6e7-1f06-4a88-9d3b-9d1f5a6b7c8d"));
    assert_eq!(hook.timestamp.as_deref(), Some("2026-09-01T10:30:01.000Z"));
    assert!(from_value::<Envelope>(json!([])).is_err());
    assert_eq!(reads::<Envelope>(&json!({"type": {}, "data": 7, "appointment": "odd"})), Envelope::default());
    // Half an emoji is no text, but nothing that says what the event is about.
    let cut =
        r#"{"id":"seD4PfOuKoVMLkEZqohJ","firstName":"\ud83d","type":"ContactUpdate","tags":["\ud83d"],"id":null}"#;
    let cut: Envelope = serde_json::from_str(cut).unwrap();
    assert_eq!((cut.kind.as_deref(), cut.id), (Some("ContactUpdate"), None), "the last of two members counts");
    assert!(serde_json::from_str::<Envelope>(r#"{"id":"\ud83d"}"#).is_err());
}

#[test]
fn workflow_documents_are_read_in_each_spelling() {
    let known = |document: Value| {
        let document: WorkflowDocument = reads(&document);
        (document.contact_id.map(String::from), document.location_id.map(String::from))
    };
    let both = (Some(CONTACT.to_owned()), Some(LOCATION.to_owned()));
    assert_eq!(known(example!("workflow")), both);
    assert_eq!(known(json!({"contactId": CONTACT, "locationId": LOCATION})), both);
    assert_eq!(known(json!({"contact_id": CONTACT, "location_id": LOCATION})), both);
    assert_eq!(known(json!({"contact_id": "", "location": "Studio North"})), (None, None));
    assert_eq!(reads::<WorkflowDocument>(&example!("workflow")).custom_data, json!({"reason": "task"}));
}

#[test]
fn bodies_hold_exactly_what_their_examples_hold() {
    let some = |text: &str| Some(text.to_owned());
    let location: LocationId = LOCATION.parse().unwrap();
    let fields = ContactPatch {
        first_name: some("Ada"),
        last_name: some("Example"),
        email: some("ada@example.com"),
        phone: some("+12125550142"),
        tags: Some(vec!["trafft".into()]),
        custom_fields: vec![WrittenCustomField { id: "MgobCB14YMVKuE4Ka8p1".into(), field_value: json!("gold") }],
        source: some("trafft"),
        ..ContactPatch::default()
    };
    let contact = NewContact { fields, ..NewContact::default() };
    assert_eq!(
        to_value(NewContactBody { location_id: &location, contact: &contact }).unwrap(),
        example!("contact_new")
    );
    assert_eq!(to_value(ContactPatch::default()).unwrap(), json!({}));

    let task = NewTask {
        title: "Call back".into(),
        due_date: "2026-09-08T02:30:00Z".into(),
        completed: false,
        body: some("Ask about the move"),
        assigned_to: some("y0BeYjuRIlDwsDcOHOJo"),
    };
    assert_eq!(to_value(task).unwrap(), example!("task_new"));
    assert_eq!(to_value(TaskPatch::default()).unwrap(), json!({}));

    let search = TaskSearch {
        contact_id: vec![CONTACT.parse().unwrap()],
        completed: Some(false),
        limit: Some(25),
        skip: Some(0),
        ..TaskSearch::default()
    };
    assert_eq!(to_value(search).unwrap(), example!("task_search_body"));

    let place = reads::<ContactPage>(&example!("search")).next;
    let search = ContactSearch::updated("2026-09-01T23:55:00Z".parse().unwrap(), None).limit(100).after(place);
    let body = ContactSearchBody { location_id: &location, search: &search };
    assert_eq!(to_value(body).unwrap(), example!("search_body"));
    let until = "2026-09-02T00:00:00.5Z".parse().ok();
    let range = to_value(ContactSearch::updated("2026-09-01T23:55:00Z".parse().unwrap(), until)).unwrap();
    assert_eq!(
        range["filters"][0]["value"],
        json!({"gte": "2026-09-01T23:55:00.000Z", "lte": "2026-09-02T00:00:00.500Z"})
    );
}
