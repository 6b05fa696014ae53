from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2_router.routing.stated_length import StatedLength, stated_length, statements

# What a query asks for, as (unit, low, high) of each statement in it: 0 and inf where one end is open.
ASKED: dict[str, list[tuple[str, float, float]]] = {
    # English
    "Answer in one word: what is the capital of France?": [("word", 1, 1)],
    "What is the capital of Peru? One word only.": [("word", 1, 1)],
    "In a single word, how do you feel about Mondays?": [("word", 1, 1)],
    "Describe the ocean in two words.": [("word", 2, 2)],
    "Keep the explanation or feedback within 3 sentences.": [("sentence", 0, 3)],
    "Explain gravity in two sentences.": [("sentence", 2, 2)],
    "Summarize the plot of Hamlet in one sentence.": [("sentence", 1, 1)],
    "What is recursion, in one sentence?": [("sentence", 1, 1)],
    "Why is the sky blue in two sentences?": [("sentence", 2, 2)],
    "Explain in a few plain sentences why the sky looks blue at noon.": [("sentence", 2, 5)],
    "Describe entropy in a couple of sentences": [("sentence", 2, 3)],
    "Please reply with exactly 4 paragraphs.": [("paragraph", 4, 4)],
    "Write 1500 words about the Roman Empire.": [("word", 1500, 1500)],
    "Write a 1000-word essay on the causes of the First World War.": [("word", 1000, 1000)],
    "Write a 1,000 word essay about Kant": [("word", 1000, 1000)],
    "write me a really funny 300 word story about a dog": [("word", 300, 300)],
    "1000-word essay on climate change": [("word", 1000, 1000)],
    "A five-paragraph essay on liberty, please": [("paragraph", 5, 5)],
    "I need a 2000 word report on solar energy.": [("word", 2000, 2000)],
    "Essay on Rome. 1500 words.": [("word", 1500, 1500)],
    "Write an essay about Rome, 1500 words": [("word", 1500, 1500)],
    "Write a blog post on hammocks (800 words).": [("word", 800, 800)],
    "Write a funny, 150+ word ad for an attorney.": [("word", 150, math.inf)],
    "List the advantages in three bullet points.": [("bullet", 3, 3)],
    "Give me 5 bullet points on inflation.": [("bullet", 5, 5)],
    "Summarise this in 3 bullets: the meeting was long.": [("bullet", 3, 3)],
    "Summarise the following 2000 words in 3 bullets": [("bullet", 3, 3)],
    "Summarize this 1500-word article in 100 words.": [("word", 100, 100)],
    "Summarize the attached 20 page report in one page": [("page", 1, 1)],
    "Write 2 pages about owls": [("page", 2, 2)],
    "Draft a two-page proposal for a school garden.": [("page", 2, 2)],
    "Write half a page on photosynthesis": [("page", 0.5, 0.5)],
    "Write a product description under 280 characters.": [("character", 0, 280)],
    "Summarize the news in under 280 characters please": [("character", 0, 280)],
    "Write between 200 and 300 words on cats.": [("word", 200, 300)],
    "Describe your town in 200-300 words.": [("word", 200, 300)],
    "Your entire reply should contain 600 to 700 words.": [("word", 600, 700)],
    "Explain photosynthesis. Use at least 500 words.": [("word", 500, math.inf)],
    "Your response must contain at least 300 words.": [("word", 300, math.inf)],
    "Write an essay of at least 900 words on the topic of navigable freeway.": [("word", 900, math.inf)],
    "The essay should be at least 50 sentences long.": [("sentence", 50, math.inf)],
    "Write a blog post with 400 or more words about sleeping in a hammock.": [("word", 400, math.inf)],
    "Write a short article, with 200 words or less.": [("word", 0, 200)],
    "Respond with at most 150 words.": [("word", 0, 150)],
    "Keep your entire response 100 words or less.": [("word", 0, 100)],
    "Explain DNS. Max 100 words.": [("word", 0, 100)],
    "Explain DNS, no more than 3 sentences.": [("sentence", 0, 3)],
    "Do not exceed 300 words.": [("word", 0, 300)],
    "I don't want anything longer than 30 words.": [("word", 0, 30)],
    "Your answer must not be longer than 50 words.": [("word", 0, 50)],
    "Limit your answer to 200 words.": [("word", 0, 200)],
    "Shorten this text to 100 words: the quick brown fox": [("word", 100, 100)],
    "Expand the note below into 3 paragraphs.": [("paragraph", 3, 3)],
    "Write about 1000 words on jazz.": [("word", 950, 1050)],
    "Write a summary of roughly two hundred words.": [("word", 190, 210)],
    "Compose a story in twenty-five words": [("word", 25, 25)],
    "Write a poem of 12 lines about rain": [("line", 12, 12)],
    "Write a song about miniatures that contains 20 to 25 sentences.": [("sentence", 20, 25)],
    "Write a joke with at least 5 sentences.": [("sentence", 5, math.inf)],
    "Summarize in a paragraph why Rome fell.": [("paragraph", 1, 1)],
    "Write a paragraph about autumn.": [("paragraph", 1, 1)],
    "Write three stanzas about the moon": [("stanza", 3, 3)],
    "Use at least 60 sentences, but less than 600 words.": [("sentence", 60, math.inf), ("word", 0, 600)],
    "Word count: 750. Write an essay on 750 words": [],
    "Write a 5 minute speech about courage": [("minute", 5, 5)],
    "Is the Earth flat? Answer yes or no.": [("yes or no", 1, 12)],
    "Is 91 prime? Yes or no?": [("yes or no", 1, 12)],
    "Can cats fly (yes/no)?": [("yes or no", 1, 12)],
    "True or false: the sun is a star. Answer true or false.": [("yes or no", 1, 12)],
    "Write a haiku about autumn leaves": [("haiku", 12, 45)],
    "A haiku about rain": [("haiku", 12, 45)],
    "Compose a limerick about a cat from Kent.": [("limerick", 35, 100)],
    "Write a tweet announcing our new bakery": [("tweet", 10, 110)],
    "Write a sonnet on time": [("sonnet", 100, 230)],
    "How do vaccines work? Keep it short.": [("short", 0, 400)],
    "Be brief: why do leaves fall?": [("short", 0, 400)],
    "Briefly explain what a monad is.": [("short", 0, 400)],
    "What is TCP? Short answer please": [("short", 0, 400)],
    # German
    "Erkläre die Photosynthese in drei Sätzen.": [("sentence", 3, 3)],
    "Schreibe einen Aufsatz mit 500 Wörtern über Goethe.": [("word", 500, 500)],
    "Schreib einen 1000-Wörter-Aufsatz über Kant": [("word", 1000, 1000)],
    "Antworte mit einem Wort: Hauptstadt von Italien?": [("word", 1, 1)],
    "Fasse den Text in fünf Stichpunkten zusammen.": [("bullet", 5, 5)],
    "Fasse zusammen, höchstens 100 Wörter.": [("word", 0, 100)],
    "Schreibe mindestens 300 Wörter über Wale.": [("word", 300, math.inf)],
    "Schreibe zwei Seiten über den Rhein.": [("page", 2, 2)],
    "Beschreibe Berlin in zwei bis drei Sätzen.": [("sentence", 2, 3)],
    "Deine Antwort soll zwischen 200 und 300 Wörter haben.": [("word", 200, 300)],
    "Ist Wasser nass? Antworte mit ja oder nein.": [("yes or no", 1, 12)],
    "Was ist Entropie? Fass dich kurz.": [("short", 0, 400)],
    "Schreibe ein Haiku über den Herbst": [("haiku", 12, 45)],
    "Kürze den Text auf 50 Wörter.": [("word", 50, 50)],
    "Erkläre das kurz und knapp.": [("short", 0, 400)],
    # French
    "Explique la photosynthèse en trois phrases.": [("sentence", 3, 3)],
    "Écris un essai de 500 mots sur Rome.": [("word", 500, 500)],
    "Réponds en un seul mot : capitale de l'Italie ?": [("word", 1, 1)],
    "Rédige un texte d'au moins 300 mots sur les baleines.": [("word", 300, math.inf)],
    "Écris une lettre d'au moins 300 mots à ma propriétaire.": [("word", 300, math.inf)],
    "Résume le texte en 100 mots maximum.": [("word", 0, 100)],
    "Écrivez deux pages sur la Seine": [("page", 2, 2)],
    "Résume cet article en cinq points.": [("point", 5, 5)],
    "Décris Paris en quelques phrases.": [("sentence", 2, 5)],
    "Est-ce vrai ? Réponds par oui ou non.": [("yes or no", 1, 12)],
    "Écris un haïku sur l'automne": [("haiku", 12, 45)],
    "Explique brièvement la relativité.": [("short", 0, 400)],
    "Écris entre 200 et 300 mots sur les chats": [("word", 200, 300)],
    "Écris un poème de douze lignes": [("line", 12, 12)],
    # Spanish
    "Explica la fotosíntesis en tres frases.": [("sentence", 3, 3)],
    "Escribe un ensayo de 500 palabras sobre Roma.": [("word", 500, 500)],
    "Responde con una sola palabra: ¿capital de Italia?": [("word", 1, 1)],
    "Escribe un texto de al menos 300 palabras sobre ballenas.": [("word", 300, math.inf)],
    "Resume el texto en 100 palabras como máximo.": [("word", 0, 100)],
    "Escribe dos páginas sobre el Ebro": [("page", 2, 2)],
    "Resume en tres párrafos la historia de España.": [("paragraph", 3, 3)],
    "¿Es verdad? Responde sí o no.": [("yes or no", 1, 12)],
    "Explica brevemente la relatividad.": [("short", 0, 400)],
    "Escribe un cuento de quinientas palabras": [("word", 500, 500)],
    # Italian, Portuguese, Dutch, Russian
    "Spiega la fotosintesi in tre frasi.": [("sentence", 3, 3)],
    "Scrivi un saggio di 500 parole su Roma.": [("word", 500, 500)],
    "Scrivi almeno 300 parole sulle balene": [("word", 300, math.inf)],
    "Explique a fotossíntese em três frases.": [("sentence", 3, 3)],
    "Escreva um texto de 500 palavras sobre Lisboa.": [("word", 500, 500)],
    "Resuma em no máximo 100 palavras.": [("word", 0, 100)],
    "Leg fotosynthese uit in drie zinnen.": [("sentence", 3, 3)],
    "Schrijf een essay van 500 woorden over Rembrandt.": [("word", 500, 500)],
    "Напиши эссе на 500 слов о Толстом.": [("word", 500, 500)],
    "Объясни фотосинтез в трех предложениях.": [("sentence", 3, 3)],
    "Ответь одним словом: столица Италии?": [("word", 1, 1)],
    "Напиши не менее 300 слов о китах": [("word", 300, math.inf)],
    # Chinese, Japanese, Korean, Arabic
    "用三句话解释光合作用。": [("sentence", 3, 3)],
    "请用一句话概括这本书": [("sentence", 1, 1)],
    "写一篇800字的作文,题目是春天": [("ideogram", 800, 800)],
    "写一篇一千字左右的文章": [("ideogram", 1000, 1000)],
    "介绍一下北京,不超过100字。": [("ideogram", 0, 100)],
    "请写一篇至少500字的故事": [("ideogram", 500, math.inf)],
    "总结这篇文章,200字以内": [("ideogram", 0, 200)],
    "写一篇200到300字的短文": [("ideogram", 200, 300)],
    "请用三个要点总结": [("bullet", 3, 3)],
    "用两段话介绍上海": [("paragraph", 2, 2)],
    "地球是平的吗?请回答是或否": [("yes or no", 1, 12)],
    "请简要回答:什么是熵?": [("short", 0, 400)],
    "光合作用を3行で説明して": [("line", 3, 3)],
    "200文字以内で要約してください": [("ideogram", 0, 200)],
    "相対性理論を一言で説明して": [("word", 1, 1)],
    "광합성을 세 문장으로 설명해줘": [("sentence", 3, 3)],
    "500자 이내로 써줘": [("ideogram", 0, 500)],
    "اشرح التمثيل الضوئي في ثلاث جمل": [("sentence", 3, 3)],
    "أجب في كلمة واحدة": [("word", 1, 1)],
    "اكتب مقالا من 500 كلمة عن القاهرة": [("word", 500, 500)],
    # written after the reader, to see how it does on what it was not made for
    "I'd like a 750-word article on the history of tea, please.": [("word", 750, 750)],
    "Explain like I'm five, two sentences max.": [("sentence", 0, 2)],
    "Give a one-sentence answer: who was Ada Lovelace?": [("sentence", 1, 1)],
    "Write a speech, about 500 words long, for my sister's wedding.": [("word", 475, 525)],
    "I want a short story, max 800 words, about a lighthouse keeper.": [("word", 0, 800)],
    "Write an abstract of 150 to 200 words for a paper on bees.": [("word", 150, 200)],
    "Your task is to write a product review of exactly 120 words.": [("word", 120, 120)],
    "Verfasse ein Gedicht mit vier Strophen.": [("stanza", 4, 4)],
    "Ich brauche einen Text von etwa 250 Wörtern über Nachhaltigkeit.": [("word", 237.5, 262.5)],
    "Rédigez une dissertation de 800 mots sur la liberté.": [("word", 800, 800)],
    "En un mot, quelle est la couleur du ciel ?": [("word", 1, 1)],
    "Dame un resumen de no más de 100 palabras.": [("word", 0, 100)],
    "Resume este texto en cinco líneas.": [("line", 5, 5)],
    "帮我写一段100字左右的自我介绍": [("paragraph", 1, 1), ("ideogram", 100, 100)],
    "400字程度でレポートを書いてください": [("ideogram", 400, 400)],
    "Напиши рассказ объемом 300 слов.": [("word", 300, 300)],
}

# Numbers and units that are not about the answer, and queries that state none.
NOT_ASKED = [
    "Hello!",
    "summarize this 1500-word article",
    "Summarize the following 2000 words.",
    "a 3 page contract was signed",
    "What should I look for in a 3 page contract?",
    "translate this sentence",
    "Translate the following three sentences into German.",
    "Translate a 3 page contract into French",
    "how many words are in this sentence?",
    "How many words are on 3 pages?",
    "How long does it take to read 500 words?",
    "How long is a 1000-word essay?",
    "How do I write a 1000-word essay in one evening?",
    "Is 500 words enough for a cover letter?",
    "write a function that counts words",
    "Write a function that truncates a text to 100 words.",
    "Write a Python script that splits a file into 3 pages",
    "Create a one page website for my bakery",
    "Build a single page app in React",
    "Write a regex that matches at least 3 words",
    "Write a SQL query that returns the first 20 characters of each name",
    "The password must be at least 12 characters.",
    "A story with two characters who meet by chance",
    "Write a story with three characters",
    "Proofread my 800 word essay",
    "My essay has 1200 words, is that too long?",
    "I wrote 500 words today and feel great",
    "He said it in three words and left.",
    "The author wrote a 1000-word essay about whales.",
    "Find the mistakes in these 3 sentences: they was here.",
    "Which of the two paragraphs is better?",
    "Compare the first two pages of the report",
    "What does the word serendipity mean?",
    "What is a sentence?",
    "How do you identify the subject in a sentence?",
    "Explain the role of verbs in a sentence.",
    "Give the plural of these words: child, mouse",
    "Write two words that rhyme with orange",
    "Give me 10 words starting with q",
    "List five words from the text that mean happy",
    "Each paragraph should have 50 words.",
    "Write a story with 20 words in each sentence",
    "Design a landing page",
    "Read the first 3 lines of a file in C",
    "Translate this haiku into English",
    "What is a haiku?",
    "Analyze this sonnet by Shakespeare",
    "Write a yes or no question about history",
    "Is it true? Answer yes or no and explain why.",
    "The vocabulary is made up of 20,000 words; what can I do to reduce the loss?",
    "Write a short story about a dog",
    "Tell me a story about the Brief History of Time",
    "He scored 3 points in the final, was that good?",
    'Improve this prompt: "Write a 500 word essay about dogs and cats"',
    "Continue the text.\n```\nAnswer in one word.\n```",
    "A steady-state process runs at 400 degrees. What power is produced?",
    "The headline should be under 60 characters.",
    "Your opponent puts in five bullets, spins the chambers and fires.",
    "Memorize 50 words a day: is that realistic?",
    "How many lines are there?\nA. 11 lines\nB. 10 lines\nC. Yes/no",
    "The two curves intersect in 4 points. What is the area between them?",
    "Shiela is required to submit a 15-page paper and has finished a third. How many pages are left?",
    "( True or False ) or not True is",
    "Why are 280 characters the limit of a tweet?",
    # German
    "Übersetze diesen Satz ins Englische.",
    "Fasse diesen Artikel mit 1500 Wörtern zusammen: ...",
    "Wie viele Wörter hat dieser Text?",
    "Wie lange liest man an 300 Seiten?",
    "Korrigiere die folgenden drei Sätze.",
    "Ein Vertrag von 3 Seiten wurde unterschrieben.",
    "Was bedeutet das Wort Sehnsucht?",
    "Schreibe eine Funktion, die Wörter zählt.",
    "Er hat das Buch mit 300 Seiten gelesen.",
    # French
    "Traduis cette phrase en anglais.",
    "Résume cet article de 1500 mots.",
    "Combien de mots y a-t-il dans ce texte ?",
    "Corrige les trois phrases suivantes.",
    "Un contrat de 3 pages a été signé.",
    "Que veut dire le mot dépaysement ?",
    "Écris une fonction qui compte les mots.",
    # Spanish
    "Traduce esta frase al inglés.",
    "Resume este artículo de 1500 palabras.",
    "¿Cuántas palabras hay en este texto?",
    "Corrige las tres frases siguientes.",
    "Se firmó un contrato de 3 páginas.",
    "¿Qué significa la palabra sobremesa?",
    "Escribe una función que cuente palabras.",
    # Chinese, Japanese, Korean, Arabic, Russian
    "翻译这句话",
    "这篇1500字的文章讲了什么?",
    "这段话有多少字?",
    "把下面三句话翻译成英文",
    "我看了一本300页的书",
    "第3段是什么意思?",
    "写一个统计字数的函数",
    "この文を英語に訳して",
    "この3行を説明して",
    "이 문장을 영어로 번역해줘",
    "ترجم هذه الجملة",
    "كم كلمة في هذا النص؟",
    "Сколько слов в этом тексте?",
    "Переведи это предложение на английский.",
    "Исправь эти три предложения.",
    # written after the reader
    "What are the 7 words you can't say on television?",
    "Name three words that describe autumn.",
    "How can I cut my essay from 1200 words to 1000 words?",
    "What happens on page 42 of the book?",
    "I need to read 30 pages by tomorrow, how do I stay focused?",
    "Why do writers use short sentences?",
    "Highlight the first sentence of each paragraph.",
    "Convert the 10 lines of CSV below to JSON.",
    "How do I limit a text field to 100 characters in HTML?",
    "Remove all lines longer than 80 characters from a file using sed.",
    "Who said 'I have a dream' and how many words was the speech?",
    "Sort these words alphabetically: pear, apple, fig",
    "Which sentence is grammatically correct?",
    "Is a 5 paragraph essay still taught in schools?",
    "Generate a 12 character password.",
    "Count the words in the two paragraphs below.",
    "Create a database with 3 pages of sample data for a web app",
    "In the last two sentences of the poem, what does the author mean?",
    "Translate the 3 bullet points into Spanish.",
    "I sent him a 2-page letter and he never answered. What should I do?",
    "What is the best way to learn 20 words a day?",
    "My landlord gave me a 10 page lease; what should I check?",
    "Was bedeutet dieser Satz?",
    "Mein Aufsatz hat nur 300 Wörter, ist das schlimm?",
    "Zähle die Sätze im folgenden Text.",
    "Lies die ersten drei Absätze und erkläre sie.",
    "Ma lettre fait 2 pages, est-ce trop long ?",
    "Que signifie cette phrase de trois mots ?",
    "Mi ensayo tiene 800 palabras, ¿es suficiente?",
    "¿Cuál es la diferencia entre frase y oración?",
    "Lee los dos primeros párrafos.",
    "我的作文写了800字，够吗？",
    "这三句话哪句对？",
    "把这段文字里的两个词换掉",
    "この200文字の文章を直してください",
    "What's a good 5 word tagline example from a famous brand?",
    "The report is 12 pages long. Where do I find the summary?",
    "Give me feedback on my 300 word story.",
]


@pytest.mark.parametrize("query", ASKED)
def test_what_is_asked_for_is_read(query: str) -> None:
    read = [(a.unit, a.low, a.high) for a in statements(query)]
    assert [(unit, pytest.approx(low), pytest.approx(high)) for unit, low, high in ASKED[query]] == read


@pytest.mark.parametrize("query", NOT_ASKED)
def test_a_number_about_something_else_is_not_read(query: str) -> None:
    assert statements(query) == []
    assert stated_length(query) is None


@pytest.mark.parametrize(
    ("query", "floor", "ceiling"),
    [
        ("Write a 1000-word essay on Rome.", (900, 1300), (1500, 2500)),
        ("Answer in one word: capital of France?", (0, 2), (5, 20)),
        ("Keep the explanation within 3 sentences.", (0, 0), (80, 200)),
        ("Write at least 500 words on owls.", (450, 700), (math.inf, math.inf)),
        ("写一篇800字的作文", (250, 500), (900, 1600)),
        ("Write two pages about owls", (600, 1200), (1500, 3000)),
        ("Your reply must contain exactly 3 bullet points.", (20, 60), (math.inf, math.inf)),
    ],
)
def test_bounds_in_tokens(query: str, floor: tuple[float, float], ceiling: tuple[float, float]) -> None:
    stated = stated_length(query)
    assert stated is not None
    assert floor[0] <= stated.floor_tokens <= floor[1]
    assert ceiling[0] <= stated.ceiling_tokens <= ceiling[1]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Write a 1000-word essay on Rome.", "1,000 words"),
        ("Write about 1000 words on jazz.", "about 1,000 words"),
        ("Answer in one word.", "1 word"),
        ("Use at least 60 sentences.", "at least 60 sentences"),
        ("Keep it within 3 sentences.", "at most 3 sentences"),
        ("Describe your town in 200-300 words.", "200 to 300 words"),
        ("Summarize this in 3 bullets", "3 bullet points"),
        ("Write half a page on photosynthesis", "0.5 page"),
        ("Write a 5 minute speech about courage", "5 minutes of speech"),
        ("Write a haiku about rain", "a haiku"),
        ("Write two paragraphs, at most 100 words.", "at most 100 words, 2 paragraphs"),
    ],
)
def test_what_is_asked_for_in_words(query: str, said: str) -> None:
    stated = stated_length(query)
    assert stated is not None
    assert stated.said == said


def test_of_two_that_contradict_each_other_the_more_exact_counts() -> None:
    stated = stated_length("Write one sentence. Use at least 500 words.")
    assert stated is not None
    assert stated.said == "at least 500 words"
    assert stated.floor_tokens > 400


def test_only_the_beginning_and_the_end_of_a_long_text_are_read() -> None:
    page = "The quick brown fox jumps over the lazy dog and is gone. " * 100
    assert stated_length(f"{page}\nWrite 300 words about owls.\n{page}") is None
    for query in (f"Write 300 words about this text.\n{page}", f"{page}\nWrite 300 words about this text."):
        stated = stated_length(query)
        assert stated is not None
        assert stated.said == "300 words"


_PIECES = """
    1 3 1,000 1.5k one hundred a in words word - to and at least not write essay the mots de une wörter . , ( " ``` yes
    no haiku answer 三 句 字 百 用 ， keep it short each of bullet points page اكتب في كلمة
"""
_pieces = st.sampled_from([*_PIECES.split(), "\n"])


@pytest.mark.slow
@settings(max_examples=400)
@given(
    st.text(max_size=300) | st.lists(_pieces, max_size=60).map(" ".join) | st.lists(_pieces, max_size=60).map("".join)
)
def test_reading_never_fails_and_floor_is_not_above_ceiling(query: str) -> None:
    stated = stated_length(query)
    if stated is not None:
        assert 0 <= stated.floor_tokens <= stated.ceiling_tokens
        assert stated.said


@given(st.floats(0, 5000), st.floats(0, 5000), st.lists(st.floats(0.1, 1e4), min_size=1, max_size=9), st.floats(0, 1e4))
def test_held_tokens_keep_the_bounds_and_the_budget(a: float, b: float, tokens: list[float], thought: float) -> None:
    stated = StatedLength(min(a, b), max(a, b), "")
    budgets = np.array([math.inf, *([100.0] * (len(tokens) - 1))])
    held = stated.hold(np.array(tokens), budgets, np.full(len(tokens), thought))
    assert (held <= budgets + thought).all()
    assert (held <= stated.ceiling_tokens + thought).all()
    assert (held >= np.minimum(stated.floor_tokens, budgets) + thought).all()
    share = stated.share(budgets)
    assert ((share >= 0) & (share <= 1)).all()
    assert share[0] == 1  # unlimited holds whatever is asked for


def test_a_budget_keeps_the_share_of_the_asked_length_that_it_holds() -> None:
    stated, budgets = StatedLength(1000.0, 2000.0, ""), np.array([50.0, 500.0, 1500.0, math.inf])
    assert stated.share(budgets) == pytest.approx([0.05, 0.5, 1.0, 1.0])
    held = stated.hold(np.array([25.0, 100.0, 900.0, 3000.0]), budgets, np.zeros(4))
    assert held == pytest.approx([50.0, 500.0, 1000.0, 2000.0])


def test_a_ceiling_alone_leaves_every_quality() -> None:
    assert StatedLength(0.0, 10.0, "").share(np.array([1.0, 30.0, math.inf])) == pytest.approx(1.0)
