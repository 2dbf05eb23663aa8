"""Properties that hold for anything: budgets, probabilities, exports."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from tiny import byte_tokenizer
from transformers import AutoModelForCausalLM
from tries import make_prompt

from gsa.atomic_io import write_atomic
from gsa.chain.base import load_base
from gsa.chain.chain import Chain
from gsa.chain.lora import apply_active, fresh_link, save_link
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.export.export import export
from gsa.model.forward import trie_inputs
from gsa.model.hf_logging import quiet_libraries
from gsa.model.scoring import score
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Backbone, Lora
from gsa.trie import attention
from gsa.trie.trie import TokenTrie

ids = st.lists(st.integers(0, 250), min_size=1, max_size=12).map(tuple)
said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
FEW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(
    st.lists(st.tuples(said, said), min_size=1, max_size=12),
    st.data(),
    st.integers(360, 900),
    st.sampled_from([("inline", "history"), ("paper", "dialogue"), ("paper", "history")]),
)
def test_any_dialogue_and_budget_keeps_instruction_target_and_answers(turns, data, budget, shape):
    tokenizer = byte_tokenizer()
    dialogue = Dialogue("d", tuple(Utterance(text, speaker) for text, speaker in turns))
    target = data.draw(st.integers(0, len(turns) - 1))
    layout = Layout(name=shape[0], context=shape[1], max_tokens=budget)
    (prompt,) = Encoder(tokenizer, layout, EMOTION).encode([Example("e", "x", dialogue, target, "joy")])
    assert len(prompt.ids) + max(map(len, prompt.answers)) <= budget
    text = tokenizer.decode(list(prompt.ids))
    assert EMOTION.instruction in text
    assert all(label in text for label in EMOTION.labels)
    assert [tokenizer.decode(list(answer)).strip() for answer in prompt.answers] == list(EMOTION.labels)
    assert target in prompt.turns
    line = dialogue.turns[target].line()
    if prompt.cut_words:
        kept = tokenizer.decode(list(prompt.ids)).encode()
        assert len(line.encode()) * (1 if shape[0] == "inline" else 2) > budget - len(kept)
    else:
        assert line in text


@FEW
@given(ids, st.lists(ids, min_size=2, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_probabilities_sum_to_one_and_ignore_the_order_of_labels(model, ids, answers, random):
    prompt = make_prompt(ids, answers)
    order = list(range(len(answers)))
    random.shuffle(order)
    labels = tuple(prompt.task.labels[i] for i in order)
    shuffled = replace(
        prompt, answers=tuple(answers[i] for i in order), task=replace(prompt.task, labels=labels)
    )
    (expected,), (actual,) = score(model, [prompt]), score(model, [shuffled])
    assert abs(sum(actual.probabilities.values()) - 1) < 1e-12
    assert min(actual.probabilities.values()) >= 0
    assert tuple(actual.probabilities) == labels
    for label, probability in expected.probabilities.items():
        assert actual.probabilities[label] == pytest.approx(probability, rel=1e-4, abs=1e-9)


LINKS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(
            [("q_proj",), ("q_proj", "v_proj"), ("o_proj", "down_proj"), ("gate_proj", "up_proj")]
        ),
        st.floats(0.1, 64),
    ),
    min_size=1,
    max_size=3,
)


@settings(FEW, max_examples=5)
@given(LINKS, st.integers(0, 2**20), ids)
def test_any_chain_exported_and_loaded_again_gives_the_same_logits(
    tiny_folder, recipe_file, links, seed, asked
):
    backbone = Backbone(name=str(tiny_folder))
    with TemporaryDirectory() as folder:
        root = Path(folder) / "run"
        loaded = load_base(backbone)
        recipe = load_recipe(recipe_file).toml()
        model = loaded.model
        chain = Chain(root, loaded.identity, recipe=sha256(recipe.encode()).hexdigest())
        for number, (rank, targets, alpha) in enumerate(links):
            linked = fresh_link(model, Lora(rank=rank, targets=targets, alpha=alpha), seed + number)
            for name, weight in linked.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight, std=0.05)
            link_folder = RunFolder(root).links_folder / f"{number + 1}-{number}"
            chain = chain.append(save_link(linked, link_folder, str(number), backbone.name, ""))
            model = apply_active(linked)
        write_atomic(root / STORED_RECIPE, recipe)
        expected = logits_of(model, asked)
        merged = AutoModelForCausalLM.from_pretrained(export(root, "merged", Path(folder) / "merged"))
        plain = AutoModelForCausalLM.from_pretrained(tiny_folder)
        with quiet_libraries():
            linked = PeftModel.from_pretrained(plain, export(root, "adapter", Path(folder) / "adapter"))
        again = RunFolder(root).load()[2].model
        for actual in (merged, linked, again):
            assert (logits_of(actual, asked) - expected).norm() <= 1e-5 * expected.norm()


def logits_of(model, asked):
    with torch.no_grad():
        attended = {"input_ids": torch.tensor([asked]), "use_cache": False}
        if model.config._attn_implementation == attention.NAME:
            attended = trie_inputs(TokenTrie.build([asked]), model)
        return model(**attended).logits[0]
