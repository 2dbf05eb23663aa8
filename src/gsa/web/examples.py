"""Texts and conversations that the page offers to try; invented for it."""

TEXTS = {
    "a broken zip": "The zip broke on the second day, and nobody answers my mails.",
    "a good present": "Arrived early, works like a charm, and my daughter will not put it down.",
    "where the shop is": "The shop is on the second floor, next to the lifts.",
}
CONVERSATIONS = {
    "a new flat": """Mara: I finally got the keys, the flat is ours!
Jonas: No way! Already? I thought they wanted to wait until June.
Mara: They called this morning. I cried a little, to be honest.
Jonas: I am so happy for you. When do we move the piano?
Mara: About that. The lift has been broken since March.
Jonas: Wonderful. Six floors with a piano, just what my back was asking for.
Mara: And the neighbour already left an angry note about noise.
Jonas: We have not even moved in yet! Who does that?
Mara: I know. I am a bit scared of meeting him.""",
    "a night at the hotel": """Desk: Lakeside Hotel, good evening, how can I help?
Guest: There is water coming through the ceiling of my room.
Desk: Oh no, I am terribly sorry! Is anyone hurt?
Guest: Only my suitcase. It is the second room tonight, by the way.
Desk: I will send someone up at once.
Guest: Great, the last one promised that too. Five stars, truly.""",
}
LEVELS = {
    name: ({**TEXTS, **CONVERSATIONS})[name]
    for name in ("a night at the hotel", "a new flat", "a broken zip")
}
