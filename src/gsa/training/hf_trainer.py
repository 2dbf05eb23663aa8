"""transformers' Trainer. Its import imports PEFT, and thereby bitsandbytes where that is installed."""

from gsa.model.hf_logging import no_fetched_kernels

with no_fetched_kernels():
    from transformers import Trainer, TrainerCallback, TrainingArguments

__all__ = ["Trainer", "TrainerCallback", "TrainingArguments"]
