//! Chat messages to a prompt, by the template that the model was trained with.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

/// One message of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who speaks: system, user or assistant.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// A template that does not parse, or that refuses the messages.
#[derive(Debug, thiserror::Error)]
#[error("chat template: {0}")]
pub struct TemplateError(#[from] Error);

const NAME: &str = "chat";

/// For a model without a template.
pub const PLAIN: &str = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}\
    {% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

impl ChatTemplate {
    /// Parses a template as Hugging Face's tokenizers do: Jinja with block lines trimmed, Python's string methods,
    /// and `raise_exception`.
    pub fn new(source: String) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source)?;
        Ok(Self { environment })
    }

    /// The prompt that asks for the assistant's next message.
    pub fn render(&self, messages: &[Message]) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME)?;
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| {
                context! { role => message.role.as_str(), content => message.content.as_str() }
            })
            .collect();
        Ok(template.render(context! { messages, add_generation_prompt => true })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2's own.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn smollm2_gets_its_system_message_unless_there_is_one() {
        let template = ChatTemplate::new(SMOLLM2.to_owned()).expect("parses");
        assert_eq!(
            template.render(&[message("user", "Hi {{ there }}")]).expect("renders"),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
             <|im_start|>user\nHi {{ there }}<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            template.render(&[message("system", "Be brief."), message("user", "Hi")]).expect("renders"),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn plain_and_python_methods_and_refusals() {
        let plain = ChatTemplate::new(PLAIN.to_owned()).expect("parses");
        assert_eq!(plain.render(&[message("user", "Hi")]).expect("renders"), "user: Hi\nassistant: ");
        let strip = ChatTemplate::new("{{ messages[0].content.strip() }}".to_owned()).expect("parses");
        assert_eq!(strip.render(&[message("user", "  x ")]).expect("renders"), "x");
        let refuses = ChatTemplate::new("{{ raise_exception('no system role') }}".to_owned()).expect("parses");
        let error = refuses.render(&[]).expect_err("refuses");
        assert!(error.to_string().contains("no system role"), "{error}");
    }
}
