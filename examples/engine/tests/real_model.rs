//! The real model, if it has been fetched: `cargo run --release -p inferometer-example-engine` does that. Without it
//! these tests say so and check nothing.

use inferometer_example_engine::chat::Message;
use inferometer_example_engine::engine::engine;
use inferometer_example_engine::fetch::{SMOLLM2, cache_directory};
use inferometer_example_engine::model::{Loaded, ModelSpec, load};
use inferometer_example_engine::request::{Event, GenerationParams, Request};
use inferometer_example_engine::scheduler::{Progress, SchedulerConfig};
use inferometer_example_engine::telemetry::NoTelemetry;

fn loaded() -> Option<Loaded> {
    let file = cache_directory().ok()?.join(SMOLLM2.member.rsplit('/').next()?);
    if !file.exists() {
        eprintln!("skipped: {} has not been fetched", file.display());
        return None;
    }
    Some(load(&ModelSpec::File(file)).expect("a fetched model loads"))
}

#[test]
fn it_tokenises_as_the_model_was_trained() {
    let Some(Loaded { tokenizer, .. }) = loaded() else { return };
    for text in ["Hello world", "The year 1969\n\n  naïve 東京 🦀", "don't\tstop", ""] {
        let tokens = tokenizer.encode(text).expect("encodes");
        assert_eq!(tokenizer.decode(&tokens), text, "{tokens:?}");
    }
    let tokens = tokenizer.encode("<|im_start|>user\nIn 1969<|im_end|>\n").expect("encodes");
    let pieces: Vec<_> = tokens.iter().map(|&token| String::from_utf8_lossy(tokenizer.piece(token))).collect();
    // Every digit by itself, and control tokens without a text.
    assert_eq!(pieces, ["", "user", "\n", "In", " ", "1", "9", "6", "9", "", "\n"]);
    assert_eq!(tokenizer.end_tokens(), [0, 2]);
}

#[test]
fn it_knows_the_capital_of_france() {
    let Some(Loaded { model, tokenizer, template }) = loaded() else { return };
    let message = |content: &str| Message { role: "user".to_owned(), content: content.to_owned() };
    let config = SchedulerConfig { end_tokens: tokenizer.end_tokens().to_vec(), ..SchedulerConfig::default() };
    let (submitter, mut scheduler) = engine(model, config, NoTelemetry);
    // Two at once: each has to keep to its own question.
    let mut clients = ["France", "Italy"].map(|country| {
        // The longer question: at the shorter one this small model hesitates between two first words, and the rounding
        // of its weights decides.
        let question = format!("What is the capital of {country}, and what is it known for?");
        let prompt = template.render(&[message(&question)]).expect("renders");
        let prompt = tokenizer.encode(&prompt).expect("encodes");
        let (request, events) = Request::new(prompt, GenerationParams { max_tokens: 24, ..Default::default() });
        submitter.submit(request).expect("there is room");
        events
    });
    while scheduler.step() == Progress::Stepped {}
    for (events, city) in clients.iter_mut().zip(["Paris", "Rome"]) {
        let mut tokens = Vec::new();
        while let Ok(event) = events.try_recv() {
            match event {
                Event::Token(token) => tokens.push(token),
                Event::Finished { .. } => {}
                Event::Failed(message) => panic!("{message}"),
            }
        }
        let answer = tokenizer.decode(&tokens);
        assert!(answer.contains(city), "{answer}");
    }
}
