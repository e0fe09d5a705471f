//! The label sets of the families.

use crate::label::{
    BlockState, CacheTier, EngineState, ErrorType, FinishReason, LoadPhase, LoraState, MemoryAccess, Phase,
    RejectReason, Stage, Status, TokenizerOperation, TransferDirection,
};
use inferometer::LabelSet;

macro_rules! label_sets {
    ($($set:ident { $($label:ident: $type:ty),* })*) => {$(
        #[derive(Clone, Copy, Debug, LabelSet)]
        pub(crate) struct $set<'a> {
            $(pub(crate) $label: $type),*
        }
    )*};
}

label_sets! {
    PerModel { model_name: &'a str }
    PerEngine { model_name: &'a str, engine: &'a str }
    ByOutcome { model_name: &'a str, engine: &'a str, finish_reason: FinishReason, status: Status }
    ByError { model_name: &'a str, error_type: ErrorType }
    ByReason { model_name: &'a str, reason: RejectReason }
    ByOperation { model_name: &'a str, operation: TokenizerOperation }
    ByPhase { model_name: &'a str, engine: &'a str, phase: Phase }
    ByStage { model_name: &'a str, engine: &'a str, stage: Stage }
    ByEngineState { model_name: &'a str, engine: &'a str, state: EngineState }
    ByBlockState { model_name: &'a str, engine: &'a str, state: BlockState }
    ByTier { model_name: &'a str, engine: &'a str, tier: CacheTier }
    BySource { model_name: &'a str, engine: &'a str, source: CacheTier }
    ByTransfer { model_name: &'a str, engine: &'a str, direction: TransferDirection, tier: CacheTier }
    ByAccess { model_name: &'a str, engine: &'a str, direction: MemoryAccess }
    ByLoraState { model_name: &'a str, engine: &'a str, state: LoraState }
    ByLoadPhase { model_name: &'a str, engine: &'a str, phase: LoadPhase }
    KvCacheShape { model_name: &'a str, engine: &'a str, block_tokens: &'a str, blocks: &'a str }
    Adapters {
        model_name: &'a str,
        engine: &'a str,
        max_lora: &'a str,
        running_lora_adapters: &'a str,
        waiting_lora_adapters: &'a str
    }
}

impl<'a> PerEngine<'a> {
    /// The labels that adapters have besides: how many there can be, those that run, those that wait.
    pub(crate) fn with_adapters(self, adapters: &'a [String; 3]) -> Adapters<'a> {
        let PerEngine { model_name, engine } = self;
        let [max_lora, running_lora_adapters, waiting_lora_adapters] = adapters;
        Adapters { model_name, engine, max_lora, running_lora_adapters, waiting_lora_adapters }
    }
}
