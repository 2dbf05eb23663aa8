"""Support tickets made from templates: four plain classes, as labelled data of one's own often has.

A ticket names either a thing or what is wrong with it, never both, so that one phrase in each decides.
"""

import random

SUBJECTS = {
    "billing": ["my invoice", "the charge on my card", "the refund", "the fee", "the price on the bill",
                "last month's payment"],
    "delivery": ["my parcel", "the package", "the order I placed", "the courier", "the shipment", "the box"],
    "technical": ["the app", "the website", "the screen", "the update", "the device", "the button"],
    "account": ["my password", "my profile", "my login", "my email address", "my subscription",
                "my user name"],
}  # fmt: skip
PROBLEMS = {
    "billing": ["is higher than agreed", "was taken twice", "has not arrived in my bank",
                "shows the wrong amount", "includes tax I do not owe"],
    "delivery": ["is three days late", "was left in the rain", "never turned up", "went to the wrong street",
                 "is still at the depot"],
    "technical": ["keeps crashing", "freezes when I open it", "does not load", "shows an error",
                  "stopped working yesterday"],
    "account": ["cannot be changed", "is not accepted", "was locked", "needs to be deleted",
                "belongs to my old job"],
}  # fmt: skip
VAGUE_SUBJECTS = ["it", "this thing", "what I wrote about", "everything", "that"]
VAGUE_PROBLEMS = [
    "is a problem",
    "is not right",
    "worries me",
    "is the reason I write",
    "needs your attention",
]
OPENINGS = ["Hello, ", "Hi there, ", "", "Good morning, ", "To whom it may concern: ",
            "Sorry to bother you but "]  # fmt: skip
ENDINGS = [".", ", please help.", ". What can I do?", " and I am quite annoyed.", ", thanks in advance.",
           ". I have been a customer for years."]  # fmt: skip


def tickets(count: int, seed: int) -> list[tuple[str, str]]:
    """Return distinct texts with their labels, the classes in turn."""
    rng = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        label = list(SUBJECTS)[len(rows) % len(SUBJECTS)]
        subject, problem = rng.choice(SUBJECTS[label]), rng.choice(PROBLEMS[label])
        if rng.random() < 0.5:
            subject = rng.choice(VAGUE_SUBJECTS)
        else:
            problem = rng.choice(VAGUE_PROBLEMS)
        rows.setdefault(f"{rng.choice(OPENINGS)}{subject} {problem}{rng.choice(ENDINGS)}", label)
    return list(rows.items())
