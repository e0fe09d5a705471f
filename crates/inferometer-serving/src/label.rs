//! The closed sets of label values. A set that is open, as request fields are, would let a client make series at will.

use inferometer::LabelValue;

/// Declares an enum whose values are those of a label, and the list of them.
macro_rules! label_values {
    ($(#[$meta:meta])* $label:ident { $($(#[$value_meta:meta])* $value:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
        #[non_exhaustive]
        pub enum $label { $($(#[$value_meta])* $value),* }

        impl $label {
            /// All of them.
            pub const ALL: [$label; <$label as LabelValue>::VALUES.len()] = [$($label::$value),*];

            /// The label's value.
            pub fn as_str(self) -> &'static str {
                <$label as LabelValue>::VALUES[self.index()]
            }
        }
    };
}

label_values! {
    /// Why a request ended: the label `finish_reason`.
    FinishReason {
        /// The model said so, or a stop sequence came.
        Stop,
        /// As many tokens as were asked for, or as fit.
        Length,
        /// The client gave up.
        Abort,
        /// The server failed.
        Error,
        /// It was turned away.
        Rejected,
        /// It took too long.
        Timeout,
        /// The model called a tool.
        ToolCalls,
        /// The model repeated itself.
        Repetition,
        /// The answer was held back.
        ContentFilter,
    }
}

label_values! {
    /// How a request ended: the label `status`.
    Status {
        /// With an answer.
        Ok,
        /// Without, by the server.
        Error,
        /// Without, by the client.
        Cancelled,
    }
}

impl FinishReason {
    /// The status of a request that ended so.
    pub const fn status(self) -> Status {
        match self {
            Self::Stop | Self::Length | Self::ToolCalls | Self::Repetition | Self::ContentFilter => Status::Ok,
            Self::Error | Self::Rejected | Self::Timeout => Status::Error,
            Self::Abort => Status::Cancelled,
        }
    }
}

label_values! {
    /// What kind of error a request ended with: the label `error_type`.
    ErrorType {
        /// The request is not valid.
        Validation,
        /// There is no such model.
        NotFound,
        /// There is too much to do.
        Overload,
        /// What is needed for it does not run.
        Unavailable,
        /// It was given up.
        Cancelled,
        /// It took too long.
        ResponseTimeout,
        /// The server failed.
        Internal,
        /// The server cannot do that.
        NotImplemented,
    }
}

impl ErrorType {
    /// The reason that a request with this error ended for.
    pub const fn finish_reason(self) -> FinishReason {
        match self {
            Self::Cancelled => FinishReason::Abort,
            Self::ResponseTimeout => FinishReason::Timeout,
            _ => FinishReason::Error,
        }
    }
}

label_values! {
    /// Why a request was turned away before it ran: the label `reason`.
    RejectReason {
        /// As many wait as may.
        QueueFull,
        /// The client has sent as many as it may.
        RateLimited,
        /// It is longer than the model or the cache can hold.
        TooLarge,
        /// The server is stopping.
        ShuttingDown,
    }
}

label_values! {
    /// What a step did: the label `phase`.
    Phase {
        /// Only prompts.
        Prefill,
        /// Only output tokens.
        Decode,
        /// Both.
        Mixed,
    }
}

label_values! {
    /// A part of the host's work for a step: the label `stage`. No stage contains another.
    Stage {
        /// Requests leave and join the batch.
        Schedule,
        /// Tokens become the model's input.
        Prepare,
        /// The accelerator is told what to compute.
        Launch,
        /// The model runs, or is waited for.
        Forward,
        /// The next tokens are picked.
        Sample,
        /// The tokens go to the requests they belong to.
        HandOut,
        /// A token becomes text.
        Detokenize,
        /// A piece of the answer is sent.
        Stream,
    }
}

label_values! {
    /// The state of an engine: the label `state`.
    EngineState {
        /// The model is being loaded.
        Loading,
        /// It takes requests.
        Ready,
        /// It ends those that it has and takes no more.
        Draining,
        /// It has given its memory back until it is woken up.
        Sleeping,
        /// It cannot go on.
        Failed,
    }
}

label_values! {
    /// What a tokenizer does: the label `operation`.
    TokenizerOperation {
        /// Text becomes tokens.
        Tokenize,
        /// Tokens become text.
        Detokenize,
    }
}

label_values! {
    /// Where cached keys and values lie: the label `tier`, and the label `source` of tokens that came from there.
    CacheTier {
        /// The accelerator's memory.
        Device,
        /// The host's memory.
        Host,
        /// A disk.
        Disk,
        /// Another instance.
        Remote,
    }
}

label_values! {
    /// What a block of the KV cache is used for: the label `state`.
    BlockState {
        /// A running request needs it.
        Used,
        /// Nothing.
        Free,
        /// It can be used again by a request with the same prefix, and given up for any other.
        Cached,
    }
}

label_values! {
    /// Which way keys and values are moved, seen from the accelerator: the label `direction`.
    TransferDirection {
        /// To it.
        In,
        /// From it.
        Out,
    }
}

label_values! {
    /// How the accelerator's memory is used: the label `direction`.
    MemoryAccess {
        /// It is read.
        Read,
        /// It is written.
        Write,
    }
}

label_values! {
    /// What an adapter does: the label `state`.
    LoraState {
        /// It is in memory.
        Loaded,
        /// Requests with it run.
        Running,
        /// Requests with it wait.
        Waiting,
    }
}

label_values! {
    /// A part of loading a model: the label `phase`.
    LoadPhase {
        /// The weights are read.
        Weights,
        /// Kernels are compiled and buffers allocated.
        Warmup,
        /// Graphs are captured.
        Capture,
    }
}
