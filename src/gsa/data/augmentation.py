"""Label-preserving variants of examples: case, punctuation, quotes, greetings and sign-offs, speakers' names.

Pure functions: a text or an Example and a random generator in, a text or an Example out. The label never
changes. Greetings and sign-offs are added to lone sentences only, names are changed in dialogues only.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from gsa.data.types import Dialogue, Example, Utterance

GREETINGS = (
    "Hi,", "Hello,", "Hello again,", "Hey,", "Dear all,", "Dear team,", "Dear Sir or Madam,", "Good morning,",
    "Good evening,", "Hi everyone,", "Hi {name},", "Hello {name},", "Dear {name},", "To whom it may concern,",
    "Greetings,", "Hi guys,", "Dear customer service,", "Morning {name}!", "Hello!", "Hi there,",
)  # fmt: skip
SIGN_OFFS = (
    "Best regards, {name}", "Kind regards, {name}", "Regards, {name}", "Best, {name}", "Best wishes, {name}",
    "Thanks, {name}", "Thank you, {name}", "Thanks!", "Many thanks", "Thank you very much", "Cheers, {name}",
    "Cheers!", "Yours sincerely, {name}", "Yours faithfully, {name}", "Sincerely, {name}", "{name}", "Bye!",
    "Warm regards, {name}", "Thanks in advance, {name}", "Thanks in advance!", "Have a nice day!",
    "Have a great weekend, {name}", "All the best, {name}", "Take care, {name}", "See you soon, {name}",
    "Sent from my phone", "Love, {name}", "xx {name}", "With kind regards, {name}",
    "Looking forward to your reply, {name}",
)  # fmt: skip
NAMES = (
    "Agnes", "Alejandro", "Amina", "Andrzej", "Anna", "Ayesha", "Babak", "Beatriz", "Chen", "Chloe", "Daniel",
    "Deepak", "Dominik", "Ebony", "Elena", "Emre", "Fiona", "Gabriel", "Grace", "Hassan", "Helga", "Imani",
    "Ivan", "Jack", "Jasmine", "Jelena", "Joao", "Kwame", "Leila", "Liam", "Lin", "Lucas", "Mariam", "Mateo",
    "Mei-Ling", "Mohamed", "Nadia", "Nikolai", "Noah", "Olivia", "Pedro", "Priyanka", "Rachel", "Rashid",
    "Sanjana", "Sean", "Sofia", "Tamika", "Thomas", "Uchenna", "Victoria", "Wanjiru", "Yasmin", "Zoltan",
)  # fmt: skip
MARKS = re.compile(r"[.,;:!?\u2026]+(?=\s|$)")
OPENING = re.compile(r"^(The|A|An|My|Our|Your|Please|We|You|It|What|When|Where|Is|Could|There|Nobody|Such)\b")
FINAL = re.compile(r"[.!?\u2026]+\s*$")

TextVariant = Callable[[str, Random], str]
"""Takes a text and a random generator, returns the text written in another way."""


def upper(text: str, rng: Random) -> str:
    """Return the text in capitals."""
    return text.upper()


def lower(text: str, rng: Random) -> str:
    """Return the text in small letters."""
    return text.lower()


def title(text: str, rng: Random) -> str:
    """Return the text with a capital at the beginning of every word; the other letters stay."""
    return re.sub(r"(^|\s)(\w)", lambda match: match[1] + match[2].upper(), text)


def emphasis(text: str, rng: Random) -> str:
    """Return the text with one word of four or more letters in capitals, if it has one."""
    words = list(re.finditer(r"\b[A-Za-z]{4,}\b", text))
    if not words:
        return text
    word = rng.choice(words)
    return text[: word.start()] + word[0].upper() + text[word.end() :]


def no_final_mark(text: str, rng: Random) -> str:
    """Return the text without its last full stop, question or exclamation marks."""
    return FINAL.sub("", text) or text


def no_marks(text: str, rng: Random) -> str:
    """Return the text without the punctuation marks that end words."""
    return MARKS.sub("", text) or text


def repeated_final_mark(text: str, rng: Random) -> str:
    """Return the text with two to four marks at its end: the last one repeated, ``!`` or ``...``."""
    final = FINAL.search(text)
    mark = "?" if final and "?" in final[0] else rng.choice("!!.")
    return FINAL.sub("", text) + mark * (3 if mark == "." else rng.randint(2, 4))


def curly(text: str, rng: Random) -> str:
    """Return the text with typographic apostrophes and quotation marks."""
    text = re.sub(r"(^|[\s(])\"", "\\1\u201c", text).replace('"', "\u201d")
    return re.sub(r"(^|[\s(])'", "\\1\u2018", text).replace("'", "\u2019")


def straight(text: str, rng: Random) -> str:
    """Return the text with typewriter apostrophes and quotation marks."""
    return re.sub("[\u201c\u201d]", '"', re.sub("[\u2018\u2019]", "'", text))


def quoted(text: str, rng: Random) -> str:
    """Return the text in quotation marks."""
    return rng.choice(('"{}"', "\u201c{}\u201d", "'{}'", "\u2018{}\u2019")).format(text)


def spaced(text: str, rng: Random) -> str:
    """Return the text with a space before each punctuation mark that ends a word."""
    return MARKS.sub(lambda match: f" {match[0]}", text)


def greeting(text: str, rng: Random) -> str:
    """Return the text after a greeting; half of those that begin with an article or a pronoun go on small."""
    if rng.random() < 0.5:
        text = OPENING.sub(lambda match: match[0].lower(), text)
    return f"{rng.choice(GREETINGS).format(name=rng.choice(NAMES))} {text}"


def sign_off(text: str, rng: Random) -> str:
    """Return the text before a sign-off."""
    return f"{text} {rng.choice(SIGN_OFFS).format(name=rng.choice(NAMES))}"


def mail(text: str, rng: Random) -> str:
    """Return the text between a greeting and a sign-off."""
    return sign_off(greeting(text, rng), rng)


WRITING: Sequence[TextVariant] = (
    upper, upper, lower, title, emphasis, no_final_mark, no_marks, repeated_final_mark, curly, straight,
    quoted, spaced,
)  # fmt: skip
"""Variants for any text; capitals twice, because they change tokens most."""
MAIL: Sequence[TextVariant] = (greeting, sign_off, sign_off, mail)
"""Variants for lone sentences."""


NAMED: Mapping[str, TextVariant] = {
    "upper_case": upper,
    "lower_case": lower,
    "title_case": title,
    "emphasis": emphasis,
    "no_final_mark": no_final_mark,
    "no_marks": no_marks,
    "repeated_final_mark": repeated_final_mark,
    "curly_quotes": curly,
    "quoted": quoted,
    "greeting": greeting,
    "sign_off": sign_off,
    "mail": mail,
}
"""Variants by the names that recipes give them."""


def vary(text: str, rng: Random, mail_share: float = 0.3) -> str:
    """Return one variant of a text, with a greeting or sign-off in about `mail_share` of the calls."""
    variants = MAIL if rng.random() < mail_share else WRITING
    return rng.choice(variants)(text, rng)


def rename_speakers(dialogue: Dialogue, rng: Random) -> Dialogue:
    """Return the dialogue with each speaker's name exchanged for another, the same one in all turns."""
    speakers = list(dict.fromkeys(turn.speaker for turn in dialogue.turns if turn.speaker))
    if len(speakers) > len(NAMES):
        return dialogue
    names = dict(zip(speakers, rng.sample(NAMES, len(speakers)), strict=True))
    turns = (replace(turn, speaker=names.get(turn.speaker, "")) for turn in dialogue.turns)
    return replace(dialogue, turns=tuple(turns))


def drop_speakers(dialogue: Dialogue, rng: Random) -> Dialogue:
    """Return the dialogue without speakers' names."""
    return replace(dialogue, turns=tuple(Utterance(turn.text) for turn in dialogue.turns))


def augment_dialogue(dialogue: Dialogue, rng: Random) -> Dialogue:
    """Return one variant: of a lone sentence as `vary`; of several turns the writing, the names, or both."""
    if len(dialogue.turns) == 1:
        turn = dialogue.turns[0]
        return replace(dialogue, turns=(replace(turn, text=vary(turn.text, rng)),))
    choice = rng.random()
    if choice < 2 / 3:
        dialogue = rng.choice((rename_speakers, drop_speakers))(dialogue, rng)
    if choice < 1 / 3:
        return dialogue
    variant = rng.choice(WRITING)
    turns = tuple(replace(turn, text=variant(turn.text, rng)) for turn in dialogue.turns)
    return replace(dialogue, turns=turns)


def augment(example: Example, rng: Random) -> Example:
    """Return the example with one variant of its dialogue; id, target and label stay."""
    return replace(example, dialogue=augment_dialogue(example.dialogue, rng))


def restyle_dialogue(dialogue: Dialogue, shares: Mapping[str, float], rng: Random) -> Dialogue:
    """Return the dialogue written in one of the ways of `NAMED`, drawn by their shares (0 to 1), or as it is.

    Greetings and sign-offs leave a dialogue of several turns as it is.
    """
    choice = rng.random()
    for name, share in shares.items():
        choice -= share
        if choice < 0:
            if NAMED[name] in MAIL and len(dialogue.turns) > 1:
                return dialogue
            turns = (replace(turn, text=NAMED[name](turn.text, rng)) for turn in dialogue.turns)
            return replace(dialogue, turns=tuple(turns))
    return dialogue


def augment_examples(
    examples: Sequence[Example], share: float | Mapping[str, float], seed: int
) -> list[Example]:
    """Return the examples, about `share` (0 to 1) of their dialogues replaced by a variant.

    With a mapping, each variant of `NAMED` has a share of its own. Examples of one dialogue get the same
    variant, as one shared object. What is drawn depends on the seed, the dataset and the dialogue's id alone,
    not on the order or number of the examples.
    """
    variants: dict[tuple[str, str], Dialogue] = {}
    for example in examples:
        key = example.dataset, example.dialogue.id
        if key not in variants:
            rng = Random(f"{seed}/{key[0]}/{key[1]}")
            if isinstance(share, Mapping):
                variants[key] = restyle_dialogue(example.dialogue, share, rng)
            else:
                varied = rng.random() < share
                variants[key] = augment_dialogue(example.dialogue, rng) if varied else example.dialogue
    return [replace(example, dialogue=variants[example.dataset, example.dialogue.id]) for example in examples]
