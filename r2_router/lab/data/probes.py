"""Probe sentences: fixed texts whose vectors tell one embedder, pooling or normalisation from another."""

PROBES = (
    "Why do leaves turn red in autumn?",
    "def mean(xs):\n    return sum(xs) / len(xs)\n\n# What happens for an empty list?",
    "A train leaves at 9:40 and arrives at 13:05. At 84 km/h, how far has it gone? Answer in km.",
    "请用两句话解释为什么海水是咸的。",
    "Which of these is a mammal?\nA: trout\nB: bat\nC: gecko\nD: swift",
    "Schreibe eine höfliche Absage auf eine Einladung zum Abendessen 🍲.",
    (
        "Our bakery sells bread in the morning and cake in the afternoon. On Monday we sold forty loaves and nine "
        "cakes, on Tuesday thirty-two loaves and fifteen cakes, and on Wednesday the oven broke at noon, so that "
        "there was no cake at all and the last loaves went at half price. My sister thinks we should bake less "
        "bread; my brother would rather buy a second oven on credit. List what speaks for each of them, say what "
        "you would need to know before deciding, and end with one clear recommendation."
    ),
)
