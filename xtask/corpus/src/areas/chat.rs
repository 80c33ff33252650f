//! A chat store's messages, by key.

use anyhow::{Context, Result};
use colca::prelude::*;
use colca::raw_json::Text;

use super::docstore::ok;
use super::{Answers, Area, Case};
use crate::expected::untag;

pub(super) async fn run(case: &Case, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("chat").map(untag) else { return Ok(()) };
    let file = case.file("chat_store.json").context("a chat case has chat_store.json")?;
    let store = SimpleChatStore::from_text(&Text::decode(file.to_vec())?)?;
    let mut ours = colca::raw_json::Object::new();
    for key in store.get_keys() {
        let messages = store.get_messages(&key);
        let told = messages.iter().map(|message| {
            let parts = [
                ("role", Value::from(&message.role)),
                ("content", message.content().into()),
                ("kwargs", Value::Object(message.additional_kwargs.clone())),
            ];
            parts.into_iter().collect::<Value>()
        });
        ours.insert(key.clone(), Value::Array(told.collect()));
    }
    answers.equal(Area::Chat, &["chat"], &expected, &ok(Value::Object(ours)));

    // Nothing was touched, so the file is as it was.
    let mut written = Vec::new();
    store.store_file().content.write_to(&mut written)?;
    answers.hold(Area::Repersist, &["files", "chat_store.json"], written == file, || "the bytes changed".to_owned());
    Ok(())
}
