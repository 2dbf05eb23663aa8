"""`gsa tune` on model folders of all kinds: what cannot be tuned is one sentence before anything is tuned."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import byte_tokenizer, tiny_llama
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)

from gsa.chain.source import ModelSource
from gsa.model.backbone import load_backbone
from gsa.recipes.schema import Backbone

Run = Callable[..., tuple[int, str, str]]
RECIPE = """
name = "own"
[backbone]
name = "{backbone}"
attention = "{attention}"
[training]
max_row_tokens = 800
[layout]
max_tokens = {max_tokens}
end = {end}
[lora]
rank = 2
targets = {targets}
[[levels]]
name = "first"
epochs = 1
datasets = [{data}]
[[levels]]
name = "second"
epochs = 1
datasets = [{data}]
{second}
"""
DATA = '{ name = "own", path = "data", task = "mood", instruction = "Which mood?", labels = ["good", "bad"] }'
SIZES = {"vocab_size": 257, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture
def tune(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Store a model and tune it on two texts; returns exit code and messages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("text,label\nFine,good\nAwful,bad\n")

    def call(
        model: Any,
        targets: tuple[str, ...] = ("q_proj",),
        tokenizer: PreTrainedTokenizerFast | None = None,
        max_tokens: int = 512,
        end: bool = False,
        second: str = "",
        attention: str = "auto",
    ) -> tuple[int, str]:
        folder = tmp_path / "model"
        model.save_pretrained(folder)
        (tokenizer or byte_tokenizer()).save_pretrained(folder)
        keys = {
            "max_tokens": max_tokens,
            "end": json.dumps(end),
            "targets": json.dumps(targets),
            "data": DATA,
            "attention": attention,
        }
        (tmp_path / "own.toml").write_text(RECIPE.format(backbone=folder.as_posix(), second=second, **keys))
        code, _, messages = run("tune", tmp_path / "own.toml", "--out", tmp_path / "run")
        assert "Traceback" not in messages
        if code:
            assert not (tmp_path / "run" / "chain.json").exists(), "refused before anything was written"
        return code, messages

    return call


def small(kind: Any, config: Any, **settings: object) -> Any:
    torch.manual_seed(0)
    return kind(config(**{**SIZES, **settings})).eval()


def softcapped() -> Any:
    sizes = {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4096}
    return small(Gemma2ForCausalLM, Gemma2Config, **sizes)


@pytest.mark.parametrize("target", ["c_attn", "lm_head"])
def test_gpt_2_is_refused(target: str, tune: Callable[..., tuple[int, str]]) -> None:
    model = small(
        GPT2LMHeadModel, GPT2Config, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=256
    )
    code, messages = tune(model, (target,))
    assert code == 2
    assert "is a layer of type" in messages
    assert "expected a model with linear layers (torch.nn.Linear), which this one lacks" in messages


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (
            ("embed_tokens",),
            "'embed_tokens' is a layer of type Embedding: expected linear layers, out of down",
        ),
        (
            ("q_prj",),
            "no layer 'q_prj' (did you mean 'q_proj'?): expected linear layers, out of down_proj, gate",
        ),
        (("q_proj", "c_attn"), "this model has no layer 'c_attn': expected linear layers, out of down_proj"),
        (("lm_head",), "'lm_head' is a layer of type Linear, whose weights are the embeddings'"),
    ],
)
def test_targets_are_linear_layers(
    targets: tuple[str, ...], says: str, tune: Callable[..., tuple[int, str]]
) -> None:
    code, messages = tune(tiny_llama(), targets)
    assert code == 2
    assert says in messages
    assert "lm_head" not in messages.partition("out of")[2]


def test_targets_of_a_later_level_are_checked_before_the_first(tune: Callable[..., tuple[int, str]]) -> None:
    code, messages = tune(tiny_llama(), second='lora = { rank = 2, targets = ["nowhere"] }')
    assert code == 2
    assert "this model has no layer 'nowhere'" in messages


def test_a_head_of_its_own_may_be_a_target(tune: Callable[..., tuple[int, str]]) -> None:
    code, messages = tune(tiny_llama(tie_word_embeddings=False), ("lm_head",))
    assert code == 0, messages


@pytest.mark.parametrize("end", [False, True])
def test_a_tokenizer_without_an_end_of_text_token(end: bool, tune: Callable[..., tuple[int, str]]) -> None:
    """It is missed only where answers are closed by it."""
    core = byte_tokenizer().backend_tokenizer
    code, messages = tune(tiny_llama(), tokenizer=PreTrainedTokenizerFast(tokenizer_object=core), end=end)
    assert code == (2 if end else 0), messages
    assert ("task 'mood': expected a tokenizer with an end-of-text token" in messages) == end


def test_a_tokenizer_larger_than_the_model(tune: Callable[..., tuple[int, str]]) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["awful", "fine"])
    code, messages = tune(tiny_llama(), tokenizer=tokenizer)
    assert code == 2
    assert "its tokenizer has the token id 258, its model 257 embeddings" in messages


def test_special_tokens_that_no_text_has_may_lack_an_embedding(tune: Callable[..., tuple[int, str]]) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra>"]})
    code, messages = tune(tiny_llama(), tokenizer=tokenizer)
    assert code == 0, messages


@pytest.mark.parametrize("learned", [False, True])
def test_prompts_are_no_longer_than_the_positions(
    learned: bool, tune: Callable[..., tuple[int, str]]
) -> None:
    sizes = {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 300}
    model = small(OPTForCausalLM, OPTConfig, **sizes) if learned else tiny_llama(max_position_embeddings=300)
    code, messages = tune(model, max_tokens=301)
    assert code == 2
    assert "has positions of 300 tokens: expected at least 301" in messages
    assert "layout.max_tokens = 300" in messages
    code, messages = tune(model, max_tokens=300)
    assert code == 0, messages


def test_a_model_without_a_recipe_reads_prompts_that_it_can_hold(tmp_path: Path, run: Run) -> None:
    tiny_llama(max_position_embeddings=700).save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    assert ModelSource.find(tmp_path / "model").layout().max_tokens == 700
    code, out, messages = run("predict", "sentiment", "Fine. " * 500, "--model", tmp_path / "model")
    assert code == 0, messages
    assert "positive" in out


@pytest.mark.parametrize("window", [300, 299])
def test_a_sliding_window_holds_the_longest_prompt(window: int, tune: Callable[..., tuple[int, str]]) -> None:
    sizes = {"intermediate_size": 48, "num_key_value_heads": 2, "initializer_range": 0.2}
    code, messages = tune(
        small(MistralForCausalLM, MistralConfig, sliding_window=window, **sizes), max_tokens=300
    )
    assert code == (0 if window == 300 else 2), messages
    says = "window of 299 tokens: expected at least 300, the longest prompt; layout.max_tokens = 299"
    assert (says in messages) == (window == 299)


@pytest.mark.parametrize("kind", [MistralForCausalLM, LlamaForCausalLM])
@pytest.mark.parametrize("attention", ["auto", "dense"])
def test_a_refusal_of_attention_names_the_setting_that_works(
    attention: str, kind: Any, tune: Callable[..., tuple[int, str]]
) -> None:
    sizes = {"intermediate_size": 48, "num_key_value_heads": 2, "attention_dropout": 0.1}
    model = small(kind, kind.config_class, **sizes)
    model.config.sliding_window = None
    code, messages = tune(model, attention=attention)
    assert code == (2 if attention == "auto" else 0), messages
    says = (
        "has attention_dropout = 0.1, which attention by runs does not compute: expected 0, or backbone.att"
    )
    assert (says in messages) == (attention == "auto")


def test_softcapped_attention_names_the_setting_that_works(tune: Callable[..., tuple[int, str]]) -> None:
    code, messages = tune(softcapped())
    assert code == 2
    assert "has attention that SDPA does not compute, such as softcapped scores: expected plain" in messages
    assert 'or backbone.attention = "flex" (for tuning on a GPU)' in messages


@pytest.mark.filterwarnings("ignore")  # torch and transformers warn of each other's older ways here
def test_softcapped_attention_is_read_by_flex_attention(tmp_path: Path) -> None:
    softcapped().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    with torch.compiler.set_stance("force_eager"), torch.inference_mode():
        loaded = load_backbone(Backbone(name=str(tmp_path), attention="flex"))
    assert loaded.model.config._attn_implementation == "flex_attention", "found exact on a trie"


@pytest.mark.filterwarnings("ignore")
def test_flex_attention_is_not_tuned_on_a_cpu(tune: Callable[..., tuple[int, str]]) -> None:
    with torch.compiler.set_stance("force_eager"):
        code, messages = tune(tiny_llama(), attention="flex")
    assert code == 2
    assert 'backbone.attention = "flex" has no backward pass on a CPU: expected "runs"' in messages
