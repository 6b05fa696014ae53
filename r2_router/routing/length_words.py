"""The words in which a query says how long its answer shall be, by language. What they mean is in stated_length.py.

All of it is folded (lower case, ss for ß, plain quotes); alternatives stand between bars and are regular expressions
that match no more than a few words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

LETTERS = re.compile(r"[^\W\d_]+(?:'s\b)?")


@dataclass(frozen=True, eq=False)
class Language:
    """One language's words.

    `units`: unit -> its forms. `numbers`: the number words, multipliers among them; `vague`: "a few" -> (2, 5).
    `one`: the article that means one. `least` ... `exactly`: what stands before a number; `or_more`, `or_less`,
    `roughly`: what stands behind the unit. `between`, `to`: the words of a range. `within`: what leads to the length
    of an answer ("in"), `holding`: what does so behind something that is written ("with"), `down_to`: behind a verb
    of `resize`. `make`: verbs whose object is the answer; `tell`: verbs whose answer is the object's. `given`: what
    marks the number as one of something that is there. `texts`: what is written in words; `other`: what is not.
    `part`: marks of a part of the answer. `asks`: questions that want a number. `must`: what an answer shall do.
    `negation`: turns "longer than" into "at most". `past`: verbs of what happened. `tokens_per_word`: low, high.
    """

    code: str
    units: dict[str, str]
    numbers: dict[str, int]
    one: str
    vague: dict[str, tuple[int, int]]
    least: str
    most: str
    about: str
    exactly: str
    or_more: str
    or_less: str
    roughly: str
    between: str
    to: str
    within: str
    holding: str
    down_to: str
    resize: str
    make: str
    tell: str
    given: str
    texts: str
    other: str
    part: str
    asks: str
    must: str
    negation: str
    past: str
    tokens_per_word: tuple[float, float] = (1.3, 2.4)

    @cached_property
    def unit_of(self) -> dict[str, str]:
        """Form of a unit -> the unit."""
        return {form: unit for unit, forms in self.units.items() for form in forms.split()}


def _numbers(words: str, **multiples: int) -> dict[str, int]:
    """Number words from 1 on, those of one number joined by "/", and the multiples named."""
    counted = {form: n for n, forms in enumerate(words.split(), 1) for form in forms.split("/")}
    return {**counted, **multiples}


ENGLISH = Language(
    code="en",
    units={
        "word": "word words",
        "sentence": "sentence sentences liner",
        "paragraph": "paragraph paragraphs para paras",
        "bullet": "bullet bullets bulletpoint bulletpoints",
        "page": "page pages",
        "line": "line lines",
        "character": "character characters chars",
        "stanza": "stanza stanzas verse verses",
        "minute": "minute minutes",
        "point": "point points",
    },
    numbers=_numbers(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty",
        thirty=30,
        forty=40,
        fifty=50,
        sixty=60,
        seventy=70,
        eighty=80,
        ninety=90,
        hundred=100,
        thousand=1000,
    ),
    one="a|an",
    vague={
        "a single": (1, 1),
        "one single": (1, 1),
        "a couple of": (2, 3),
        "a couple": (2, 3),
        "a few": (2, 5),
        "several": (3, 8),
    },
    least="at least|at minimum|at the least|no less than|not less than|no fewer than|not fewer than|a? ?minimum of|"
    "minimum|min\\.?|more than|over|above|longer than|upwards of|exceeds?|exceeding|a min(?:imum)? length of",
    most="at most|up to|no more than|not more than|no longer than|not longer than|no greater than|less than|"
    "fewer than|shorter than|under|below|a? ?maximum of|maximum|max\\.?|not exceeding|not exceed|a limit of|"
    "limit of|limit:?|"
    "limited to|a cap of|a max of|max of|as few as|no over|not over",
    about="about|around|roughly|approximately|approx\\.?|circa|ca\\.?|c\\.|some|nearly|almost|close to|~|±|"
    "in the region of|a length of|length of|length:|word count:?|a word count of",
    exactly="exactly|precisely|just|only|strictly|a total of|exact",
    or_more="or more|or longer|or above|or over|and above|and up|and more|plus|minimum|min\\.?|at least|at minimum|"
    "at the minimum|at the least|or greater",
    or_less="or less|or fewer|or under|or shorter|or below|or so max|maximum|max\\.?|at most|tops|limit|at the most|"
    "at maximum|or lower",
    roughly="or so|approximately|approx\\.?|roughly|give or take|ish",
    between="between|from|of between",
    to="to|and|or",
    within="in|within|into|using|use|in just|in only|inside|utilizing|in about|in no more than",
    holding="with|of|containing|has|have|having|contains?|includes?|including|consisting of|consists? of|is|be|"
    "that is|that's|comprising|comprised of|spanning|made up of|totall?ing",
    down_to="to|down to|at|under|below|within|as|for",
    resize="shorten|cut|trim|condense|reduce|compress|limit|restrict|confine|keep|expand|extend|lengthen|boil|stick|"
    "summari[sz]e|bring|get|stay|narrow|squeeze|distil+|elaborate|restricted|limited|aim|cap|shrink|stretch|turn|"
    "convert|break",
    make="write|writing|compose|draft|create|generate|produce|provide|give|craft|prepare|deliver|need|want|make|"
    "develop|pen|author|offer|supply|send|use|would like|i'd like|hallucinate|complete|add|list|"
    "name|build|do|reply with|respond with|answer with|answer in|respond in|reply in|answer|respond|reply",
    tell="explain|summari[sz]e|describe|define|answer|reply|respond|tell|say|outline|paraphrase|express|condense|"
    "characteri[sz]e|recap|sum|rewrite|put|state|justify|elaborate|discuss|compare|introduce|review",
    given="this|these|that|those|the|following|my|our|your|his|her|their|its|attached|above|below|original|last|"
    "first|second|third|next|previous|same|other|any|some of the|which|what|every|whose|final|another|an existing|"
    "already|all|both|either|of my|top|current|more|extra|additional",
    texts="answer|response|reply|output|essay|article|story|stories|poem|song|letter|e-?mail|message|post|blog|"
    "blog post|report|summary|summaries|review|speech|description|explanation|paper|text|text message|script|scene|"
    "dialogue|dialog|"
    "monologue|biography|bio|abstract|note|caption|tweet|ad|advertisement|copy|pitch|statement|introduction|intro|"
    "conclusion|outline|overview|definition|synopsis|proposal|plan|guide|tutorial|memo|newsletter|press release|"
    "cover letter|resume|cv|itinerary|analysis|analyses|critique|comparison|commentary|discussion|fable|tale|"
    "fairy tale|joke|riddle|rap|ballad|chapter|novel|novella|draft|transcript|plot|profile|testimonial|reflection|"
    "thesis|narrative|prose|piece|passage|content|limerick|paragraph|section|recipe|list|play|case study|"
    "literature review|lesson plan|sonnet|toast|eulogy|obituary|editorial|column|white paper|whitepaper|listicle|"
    "product description|rhyme|verse|journal entry|diary entry|word problem|brief|primer|cheat ?sheet|background|"
    "summarization|recap|tl;?dr|bullet list|lyrics|conversation|prompt|template|version|excerpt|meditation|sermon|"
    "prayer",
    other="functions?|code|programs?|scripts?|regex|regexp|regular expressions?|methods?|class|classes|algorithms?|"
    "sql|quer(?:y|ies)|app|apps|application|website|web ?page|web ?site|web app|site|landing page|api|endpoint|"
    "passwords?|usernames?|strings?|arrays?|input|button|textbox|text box|field|validator|parser|crawler|bot|chatbot|"
    "macro|formula|command|component|database|table|column|spreadsheet|html|css|javascript|python|java|makefile|"
    "schema|module|library|tool|cli|plugin|extension|game|unit tests?|test case|pdf|document|contract|title|titles|"
    "headline|headlines|heading|headings|subject line|file ?names?|hashtags?|keyword|keywords|tags?|username|slogan|"
    "chorus|hook|bridge|introduction|intro|meta description",
    part="each|every|per|apiece|a piece",
    asks="how many|how much|how long|how big|how often|how far|how fast|what percentage|how would i|how do i|"
    "how do you|how can i|how should i|how to|are there|is there|tips for|is it possible to",
    must="should|must|needs? to|has to|have to|ought to|shall|will|can|may|is to|cannot|can't|shouldn't|mustn't|"
    "are to|make sure|ensure|sure|to|do|don't|does not|not|that|which|might|could",
    negation="not|n't|cannot|never|no|without|nothing|avoid",
    past="wrote|written|read|reading|had|said|signed|received|got|submitted|published|counted|found|given|gave|"
    "translate|translating|proofread|edit|editing|grade|grading|memorize|copy|copied|print|scan|upload|"
    "uploaded|remove|delete|replace|check|correct|fix|spell|learn|know|knows|speak|typed|type",
    tokens_per_word=(1.2, 1.6),
)

GERMAN = Language(
    code="de",
    units={
        "word": "wort wörter wörtern worte worten",
        "sentence": "satz sätze sätzen satzes",
        "paragraph": "absatz absätze absätzen abschnitt abschnitte abschnitten",
        "bullet": "stichpunkt stichpunkte stichpunkten stichwort stichworte stichworten aufzählungspunkte "
        "aufzählungspunkten bulletpoints spiegelstriche spiegelstrichen",
        "page": "seite seiten",
        "line": "zeile zeilen zeiler",
        "character": "zeichen",
        "stanza": "strophe strophen",
    },
    numbers=_numbers(
        "ein/eins/eine/einem/einen/einer/einzigen/einziger zwei drei/dreien vier fünf sechs sieben acht neun zehn elf "
        "zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig",
        **{"dreissig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "achtzig": 80, "hundert": 100},
        **{"einhundert": 100, "zweihundert": 200, "dreihundert": 300, "vierhundert": 400, "fünfhundert": 500},
        **{"sechshundert": 600, "achthundert": 800, "tausend": 1000, "eintausend": 1000, "zweitausend": 2000},
        **{"dreitausend": 3000, "fünftausend": 5000},
    ),
    one="einem|einen|einer|eine|ein",
    vague={"ein paar": (2, 5), "einigen": (2, 6), "einige": (2, 6), "wenigen": (2, 5), "wenige": (2, 5)},
    least="mindestens|wenigstens|nicht weniger als|mehr als|länger als|über|minimum|min\\.?|minimal",
    most="höchstens|maximal|max\\.?|bis zu|nicht mehr als|nicht länger als|weniger als|kürzer als|unter|maximum",
    about="etwa|ungefähr|rund|circa|ca\\.?|zirka|an die|knapp|gut|~",
    exactly="genau|nur|exakt|lediglich|bloss",
    or_more="oder mehr|oder länger|mindestens|minimum",
    or_less="oder weniger|oder kürzer|maximal|höchstens|max\\.?|maximum|nicht überschreiten",
    roughly="ungefähr|etwa|circa",
    between="zwischen|von|mit",
    to="bis|und|oder|bis zu",
    within="in|innerhalb von|mit|in nur|unter verwendung von|in genau|in etwa",
    holding="mit|von|aus|umfassen|enthalten|enthält|hat|haben|umfasst|über",
    down_to="auf|in|bei|mit",
    resize="kürze|kürzen|beschränke|beschränken|begrenze|reduziere|erweitere|halte|fasse|zusammen|verlängere|"
    "komprimiere|verdichte|beschränk|kürz|bring",
    make="schreibe?|schreiben|verfasse|verfassen|erstelle|erstellen|gib|geben|gebe|liefere|brauche|benötige|möchte|"
    "formuliere|dichte|entwirf|generiere|antworte|antworten|nenne|mach|mache|erzähle?|erzeuge|will|hätte gern",
    tell="erkläre?|erklären|fasse?|beschreibe?|beschreiben|antworte|antworten|beantworte|sage?|nenne|definiere|"
    "erläutere|zusammenfassen|zusammen|formuliere|schildere|begründe|stelle|umschreibe|charakterisiere",
    given="dies(?:er|e|es|en|em)|jen(?:er|e|es|en|em)|der|die|das|den|dem|des|folgend(?:er|e|es|en|em)|mein(?:e|en|"
    "er|em|es)?|"
    "unser(?:e|en|er|em|es)?|sein(?:e|en|er|em|es)?|ihr(?:e|en|er|em|es)?|euer|obig(?:er|e|es|en|em)|letzten?|ersten?|"
    "nächsten?|beiliegenden?|angehängten?|welche[rsnm]?|jede[rsnm]?|alle[nr]?|dein(?:e|en|er|em|es)?|zweiten?|dritten?",
    texts="antwort|aufsatz|essay|text|geschichte|gedicht|brief|e-?mail|mail|nachricht|artikel|zusammenfassung|"
    "bericht|rede|beschreibung|erklärung|rezension|beitrag|blogbeitrag|lied|märchen|bewerbung|anschreiben|"
    "hausarbeit|referat|inhaltsangabe|kurzgeschichte|stellungnahme|witz|dialog|kommentar|abhandlung|gutachten",
    other="funktion|code|programm|skript|regex|klasse|algorithmus|abfrage|app|webseite|website|passwort|kennwort|"
    "tabelle|datenbank|titel|überschrift|vertrag|dokument|pdf|buch|zeichenkette|methode|python|java|javascript",
    part="jede[rsnm]?|pro|je|jeweils",
    asks="wie viele?|wieviele?|wie lang|wie lange|wie oft|wie schreibe ich|wie kann ich|gibt es",
    must="soll|sollte|sollen|sollten|muss|müssen|darf|dürfen|kann|dass|der|die|das",
    negation="nicht|kein|keine|keinen|ohne|nie",
    past="schrieb|geschrieben|gelesen|las|hatte|sagte|erhalten|bekommen|übersetze|übersetzen|korrigiere|zähle|"
    "lies|lese|unterschrieben|veröffentlicht|lerne|lernen|prüfe|enthielt",
    tokens_per_word=(1.4, 2.6),
)

FRENCH = Language(
    code="fr",
    units={
        "word": "mot mots",
        "sentence": "phrase phrases",
        "paragraph": "paragraphe paragraphes",
        "bullet": "puce puces tiret tirets",
        "point": "point points",
        "page": "page pages",
        "line": "ligne lignes",
        "character": "caractère caractères signes",
        "stanza": "strophe strophes couplet couplets",
    },
    numbers=_numbers(
        "un/une/seul/seule deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
        "dix-sept dix-huit dix-neuf vingt",
        trente=30,
        quarante=40,
        cinquante=50,
        soixante=60,
        cent=100,
        cents=100,
        mille=1000,
    ),
    one="un|une|un seul|une seule",
    vague={"quelques": (2, 5), "plusieurs": (3, 8)},
    least="au moins|au minimum|pas moins de|minimum|plus de|un minimum de|min\\.?",
    most="au plus|au maximum|maximum|max\\.?|jusqu'à|pas plus de|moins de|ne dépassant pas|tout au plus|un maximum de|"
    "ne pas dépasser|dépasser|sans dépasser",
    about="environ|à peu près|autour de|près de|approximativement|~|une longueur de",
    exactly="exactement|seulement|précisément|juste",
    or_more="ou plus|minimum|au minimum|au moins|min\\.?",
    or_less="ou moins|maximum|au maximum|au plus|max\\.?|maxi",
    roughly="environ|à peu près",
    between="entre|de",
    to="à|et|ou",
    within="en|dans|avec|en utilisant|en seulement|par|sous|en environ",
    holding="de|d'|avec|contenant|comportant|contenir|comporter|comprendre|avoir|faire|fait|d'environ|compter",
    down_to="à|en|sur",
    resize="raccourcis|raccourcir|réduis|réduire|limite|limiter|limitez|étends|condense|condenser|résume|résumez|"
    "développe|"
    "réduisez|tiens",
    make="écris|écrivez|écrire|rédige|rédigez|rédiger|compose|composez|crée|créez|donne|donnez|donne-moi|fais|faites|"
    "génère|générez|produis|fournis|prépare|réponds|répondez|cite|voudrais|veux|besoin d'|besoin de|propose|raconte",
    tell="explique|expliquez|expliquer|résume|résumez|résumer|décris|décrivez|réponds|répondez|définis|définissez|"
    "dis|dites|présente|présentez|reformule|compare|raconte|justifie|explique-moi",
    given="ce|cet|cette|ces|le|la|les|l'|du|des|mon|ma|mes|notre|nos|votre|vos|son|sa|ses|leur|leurs|suivant|suivants|"
    "suivante|suivantes|premiers?|premières?|dernières?|derniers?|quels?|quelles?|chaque|ton|ta|tes|au|aux",
    texts="réponse|essai|texte|histoire|poème|lettre|e-?mail|mail|courriel|message|article|résumé|rapport|discours|"
    "description|explication|dissertation|critique|biographie|conte|nouvelle|chanson|dialogue|rédaction|"
    "compte rendu|introduction|conclusion|synthèse|exposé|billet|commentaire|récit|blague|fable|analyse|note",
    other="fonction|code|programme|script|regex|classe|algorithme|requête|application|site|mot de passe|tableau|"
    "base de données|titre|contrat|document|pdf|livre|chaîne|méthode|python|java|javascript|page web",
    part="chaque|chacun|chacune|par",
    asks="combien|quelle longueur|y a-t-il|comment écrire|comment puis-je",
    must="doit|doivent|devra|devrait|peut|faut|que|qui|pas|ne",
    negation="pas|ne|n'|sans|jamais",
    past="écrit|lu|avait|reçu|signé|publié|traduis|traduisez|traduire|corrige|corrigez|compte|lis|lisez|apprends",
    tokens_per_word=(1.3, 2.2),
)

SPANISH = Language(
    code="es",
    units={
        "word": "palabra palabras",
        "sentence": "frase frases oración oraciones",
        "paragraph": "párrafo párrafos parrafo parrafos",
        "bullet": "viñeta viñetas",
        "point": "punto puntos",
        "page": "página páginas pagina paginas",
        "line": "línea líneas linea lineas renglones",
        "character": "carácter caracteres",
        "stanza": "estrofa estrofas",
    },
    numbers=_numbers(
        "un/uno/una/sola/solo dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciséis diecisiete dieciocho diecinueve veinte",
        treinta=30,
        cuarenta=40,
        cincuenta=50,
        cien=100,
        ciento=100,
        doscientas=200,
        doscientos=200,
        trescientas=300,
        trescientos=300,
        cuatrocientas=400,
        quinientas=500,
        quinientos=500,
        mil=1000,
    ),
    one="un|una|una sola|un solo|una única",
    vague={"unas pocas": (2, 5), "unos pocos": (2, 5), "unas cuantas": (2, 5), "pocas": (2, 5), "varios": (3, 8)},
    least="al menos|por lo menos|como mínimo|mínimo de|un mínimo de|mínimo|no menos de|más de|mas de",
    most="como máximo|máximo de|un máximo de|máximo|maximo|a lo sumo|hasta|no más de|no mas de|menos de|"
    "sin pasar de|no exceder|sin exceder|máx\\.?|max\\.?",
    about="unas|unos|aproximadamente|alrededor de|cerca de|en torno a|~|aprox\\.?|una extensión de",
    exactly="exactamente|sólo|solo|solamente|únicamente",
    or_more="o más|o mas|mínimo|como mínimo|al menos|por lo menos",
    or_less="o menos|máximo|como máximo|maximo|máx\\.?|a lo sumo",
    roughly="aproximadamente|aprox\\.?|más o menos",
    between="entre|de",
    to="y|a|o",
    within="en|con|dentro de|usando|utilizando|en sólo|en solo|en unas|en unos",
    holding="de|con|que tenga|tener|contener|contenga|tenga|incluir|conste de",
    down_to="a|en",
    resize="acorta|reduce|limita|amplía|condensa|resume|acórtalo|redúcelo|extiende|recorta|abrevia|limítate|mantén",
    make="escribe|escríbeme|escriba|escribir|redacta|redactar|redacte|compón|crea|dame|da|haz|hazme|genera|produce|"
    "prepara|responde|responda|contesta|necesito|quiero|quisiera|elabora|cuéntame|cuenta|proporciona|nombra",
    tell="explica|explícame|explique|resume|resúmeme|resuma|resumir|describe|describa|responde|contesta|define|di|"
    "presenta|reformula|compara|justifica|dime",
    given="este|esta|estos|estas|ese|esa|esos|esas|el|la|los|las|del|al|mi|mis|tu|tus|su|sus|nuestro|nuestra|siguiente|"
    "siguientes|primeras?|primeros|últimas?|últimos|qué|cuáles|cada|dicho|dichas",
    texts="respuesta|ensayo|texto|cuento|historia|poema|carta|correo|e-?mail|mensaje|artículo|articulo|resumen|informe|"
    "discurso|descripción|explicación|redacción|crítica|biografía|canción|diálogo|introducción|conclusión|"
    "reseña|relato|fábula|comentario|chiste|análisis|síntesis",
    other="función|código|programa|script|regex|clase|algoritmo|consulta|aplicación|sitio|contraseña|tabla|"
    "base de datos|título|contrato|documento|pdf|libro|cadena|método|python|java|javascript",
    part="cada|por",
    asks="cuántas|cuántos|cuantas|cuantos|cuánto|qué longitud|hay|cómo escribir|cómo puedo",
    must="debe|deben|debería|tiene que|puede|que|no|debes|ha de",
    negation="no|sin|nunca",
    past="escribí|escribió|escrito|leí|leyó|tenía|recibí|firmó|publicó|traduce|traduzca|traducir|corrige|cuenta las|"
    "lee|aprende|aprendí|tengo|tiene|firmado",
    tokens_per_word=(1.2, 2.0),
)

ITALIAN = Language(
    code="it",
    units={
        "word": "parola parole",
        "sentence": "frase frasi",
        "paragraph": "paragrafo paragrafi",
        "point": "punto punti",
        "page": "pagina pagine",
        "line": "riga righe",
        "character": "carattere caratteri",
        "stanza": "strofa strofe",
    },
    numbers=_numbers(
        "un/uno/una/sola/solo due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
        "quindici sedici diciassette diciotto diciannove venti",
        trenta=30,
        cinquanta=50,
        cento=100,
        duecento=200,
        trecento=300,
        cinquecento=500,
        mille=1000,
    ),
    one="un|una|una sola|un solo|un'unica",
    vague={"poche": (2, 5), "pochi": (2, 5), "alcune": (2, 5), "qualche": (2, 5)},
    least="almeno|minimo|non meno di|più di|come minimo|un minimo di",
    most="al massimo|massimo|fino a|non più di|meno di|entro|un massimo di|max\\.?",
    about="circa|all'incirca|approssimativamente|~|intorno a|intorno alle",
    exactly="esattamente|solo|soltanto|precisamente",
    or_more="o più|minimo|almeno",
    or_less="o meno|massimo|al massimo|max\\.?",
    roughly="circa|all'incirca",
    between="tra|fra|da|dalle",
    to="e|a|alle|o",
    within="in|con|entro|usando|in sole|in soli|in circa",
    holding="di|con|che contenga|contenere|avere|da|contenga|abbia",
    down_to="a|in",
    resize="accorcia|riduci|limita|amplia|riassumi|condensa|estendi",
    make="scrivi|scrivere|scrivimi|componi|crea|dammi|genera|prepara|rispondi|redigi|fornisci|vorrei|elabora|elenca|"
    "fammi",
    tell="spiega|spiegami|riassumi|descrivi|rispondi|definisci|dimmi|presenta|riformula|confronta|sintetizza",
    given="questo|questa|questi|queste|quel|quella|quelle|il|la|i|gli|le|lo|l'|mio|mia|miei|mie|tuo|tua|suo|sua|"
    "nostro|nostra|"
    "seguente|seguenti|prime|primi|prima|ultime|ultimi|quali|ogni|del|della|delle|dei",
    texts="risposta|saggio|testo|racconto|storia|poesia|lettera|e-?mail|messaggio|articolo|riassunto|relazione|"
    "discorso|"
    "descrizione|spiegazione|tema|recensione|canzone|dialogo|introduzione|favola|commento|analisi",
    other="funzione|codice|programma|script|regex|classe|algoritmo|query|applicazione|sito|password|tabella|titolo|"
    "contratto|documento|pdf|libro|stringa|metodo|python|java|javascript",
    part="ogni|ciascuna|ciascuno|per",
    asks="quante|quanti|quanto|ci sono|come si scrive|come posso",
    must="deve|devono|dovrebbe|può|che|non",
    negation="non|senza|mai",
    past="scrisse|scritto|letto|aveva|ricevuto|firmato|pubblicato|traduci|tradurre|correggi|conta|leggi|impara",
    tokens_per_word=(1.3, 2.2),
)

PORTUGUESE = Language(
    code="pt",
    units={
        "word": "palavra palavras",
        "sentence": "frase frases",
        "paragraph": "parágrafo parágrafos",
        "bullet": "tópico tópicos",
        "point": "ponto pontos",
        "page": "página páginas",
        "line": "linha linhas",
        "character": "caractere caracteres carateres",
        "stanza": "estrofe estrofes",
    },
    numbers=_numbers(
        "um/uma/única/só dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze quinze "
        "dezesseis dezessete dezoito dezenove vinte",
        trinta=30,
        cinquenta=50,
        cem=100,
        duzentas=200,
        trezentas=300,
        quinhentas=500,
        mil=1000,
    ),
    one="um|uma|uma única|uma só",
    vague={"poucas": (2, 5), "poucos": (2, 5), "algumas": (2, 5), "alguns": (2, 5)},
    least="pelo menos|no mínimo|mínimo de|não menos de|mais de|ao menos",
    most="no máximo|máximo de|até|não mais de|menos de|um máximo de|não mais que",
    about="cerca de|aproximadamente|umas|uns|em torno de|~",
    exactly="exatamente|apenas|somente|só",
    or_more="ou mais|no mínimo|mínimo",
    or_less="ou menos|no máximo|máximo",
    roughly="aproximadamente|mais ou menos",
    between="entre|de",
    to="e|a|ou",
    within="em|com|dentro de|usando|em apenas|numa|num|em cerca de",
    holding="de|com|ter|conter|contenha|tenha",
    down_to="para|a|em",
    resize="encurte|reduza|limite|amplie|resuma|condense|expanda|diminua",
    make="escreva|escreve|escrever|redija|componha|crie|dê|dê-me|me dê|gere|prepare|responda|preciso|quero|elabore|"
    "faça|liste",
    tell="explique|explica|resuma|descreva|responda|defina|diga|apresente|reformule|compare|sintetize",
    given="este|esta|estes|estas|esse|essa|esses|essas|o|os|as|do|da|dos|das|meu|minha|meus|minhas|seu|sua|nosso|nossa|"
    "seguinte|seguintes|primeiras?|primeiros|últimas?|últimos|quais|cada|no|na",
    texts="resposta|ensaio|redação|texto|conto|história|poema|carta|e-?mail|mensagem|artigo|resumo|relatório|discurso|"
    "descrição|explicação|resenha|canção|diálogo|introdução|fábula|comentário|análise",
    other="função|código|programa|script|regex|classe|algoritmo|consulta|aplicativo|site|senha|tabela|título|"
    "contrato|documento|pdf|livro|string|método|python|java|javascript",
    part="cada|por",
    asks="quantas|quantos|quanto|há|como escrever|como posso",
    must="deve|devem|deveria|pode|que|não|tem que",
    negation="não|sem|nunca",
    past="escreveu|escrito|leu|tinha|recebi|assinado|publicado|traduza|traduzir|corrija|conte|leia|aprenda",
    tokens_per_word=(1.2, 2.1),
)

RUSSIAN = Language(
    code="ru",
    units={
        "word": "слово слова слов словом словах словами",
        "sentence": "предложение предложения предложений предложением предложениях предложениями",
        "paragraph": "абзац абзаца абзацев абзаце абзацах",
        "bullet": "пункт пункта пунктов пунктах пунктами тезиса тезисах тезисов",
        "page": "страница страницы страниц страницу странице страницах",
        "line": "строка строки строк строке строках строку",
        "character": "символ символа символов символах знаков",
        "stanza": "строфа строфы строф",
    },
    numbers=_numbers(
        "один/одно/одну/одном/одним/одной два/две/двух/двумя три/трех/трёх/тремя четыре/четырех/четырёх пять/пяти "
        "шесть/шести семь/семи восемь/восьми девять/девяти десять/десяти",
        пятьдесят=50,
        сто=100,
        двести=200,
        триста=300,
        пятьсот=500,
        тысяча=1000,
        тысячу=1000,
    ),
    one="одном|одно|одним|одну",
    vague={"нескольких": (2, 6), "нескольку": (2, 6), "несколько": (2, 6), "паре": (2, 3), "пару": (2, 3)},
    least="не менее|не меньше|как минимум|минимум|больше|более|хотя бы",
    most="не более|не больше|максимум|до|менее|меньше|не длиннее",
    about="около|примерно|приблизительно|порядка|~",
    exactly="ровно|только|всего|точно",
    or_more="или больше|или более|минимум|не меньше|не менее",
    or_less="или меньше|или менее|максимум|не больше|не более",
    roughly="примерно|приблизительно",
    between="от|между",
    to="до|и|или",
    within="в|во|из|за",
    holding="на|из|объемом|объёмом|длиной|в|объемом в|длиной в|содержать",
    down_to="до",
    resize="сократи|сократите|ограничь|расширь|сожми|уменьши|урежь",
    make="напиши|напишите|написать|сочини|составь|создай|дай|подготовь|ответь|ответьте|нужно|нужен|придумай|приведи|"
    "расскажи",
    tell="объясни|объясните|опиши|опишите|ответь|ответьте|определи|скажи|кратко|изложи|перескажи|резюмируй|подытожь|"
    "суммируй|расскажи",
    given="этот|эта|это|эти|этих|этом|этой|этого|тот|тех|следующие|следующих|следующий|мой|мои|моей|моих|наш|наши|"
    "первые|"
    "первых|последние|последних|каждом|каждый|какие|каких|все|всех",
    texts="ответ|эссе|сочинение|текст|рассказ|стихотворение|письмо|сообщение|статья|статью|резюме|отчет|отчёт|речь|"
    "описание|объяснение|рецензия|рецензию|песня|песню|диалог|введение|сказка|сказку|историю|доклад|реферат|пост",
    other="функция|функцию|код|программа|программу|скрипт|класс|алгоритм|запрос|приложение|сайт|пароль|таблица|таблицу|"
    "заголовок|договор|документ|книга|книгу|метод",
    part="каждый|каждая|каждое|каждом|по|на каждый",
    asks="сколько|как долго|как написать|есть ли",
    must="должен|должна|должно|должны|может|чтобы|который",
    negation="не|без|никогда",
    past="написал|написала|прочитал|прочитала|получил|подписал|переведи|переведите|исправь|посчитай|выучи|прочти|"
    "был|была",
    tokens_per_word=(1.6, 3.8),
)

DUTCH = Language(
    code="nl",
    units={
        "word": "woord woorden",
        "sentence": "zin zinnen",
        "paragraph": "alinea alinea's",
        "bullet": "opsommingspunten bullets puntjes",
        "page": "pagina pagina's bladzijde bladzijden",
        "line": "regel regels",
        "character": "teken tekens",
        "stanza": "strofe strofen",
    },
    numbers=_numbers(
        "een/één/enkele twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien "
        "zeventien achttien negentien twintig",
        dertig=30,
        vijftig=50,
        honderd=100,
        tweehonderd=200,
        driehonderd=300,
        vijfhonderd=500,
        duizend=1000,
    ),
    one="een|één|één enkele",
    vague={"een paar": (2, 5), "enkele": (2, 5), "enige": (2, 5)},
    least="minstens|ten minste|tenminste|minimaal|meer dan|minimum|niet minder dan",
    most="hoogstens|maximaal|maximum|niet meer dan|minder dan|onder|max\\.?|tot",
    about="ongeveer|circa|rond|ca\\.?|zo'n|~",
    exactly="precies|slechts|exact|alleen",
    or_more="of meer|minimaal|minstens",
    or_less="of minder|maximaal|maximum|max\\.?",
    roughly="ongeveer",
    between="tussen|van",
    to="en|tot|of|à",
    within="in|binnen|met|in slechts|in ongeveer",
    holding="van|met|bevatten|hebben|met ongeveer",
    down_to="tot|in",
    resize="verkort|beperk|kort|breid|vat|verminder|samen",
    make="schrijf|schrijven|maak|geef|stel|genereer|antwoord|lever|wil|bedenk|noem",
    tell="leg|vat|beschrijf|antwoord|beantwoord|definieer|zeg|vertel|samen|uit|omschrijf",
    given="deze|dit|die|dat|de|het|mijn|onze|ons|jouw|zijn|haar|hun|volgende|eerste|laatste|welke|elke|alle",
    texts="antwoord|opstel|essay|tekst|verhaal|gedicht|brief|e-?mail|bericht|artikel|samenvatting|verslag|toespraak|"
    "beschrijving|uitleg|recensie|lied|dialoog|inleiding|sprookje|betoog",
    other="functie|code|programma|script|regex|klasse|algoritme|query|app|website|wachtwoord|tabel|titel|contract|"
    "document|pdf|boek|methode|python|java|javascript",
    part="elke|elk|ieder|iedere|per",
    asks="hoeveel|hoe lang|hoe schrijf ik|hoe kan ik",
    must="moet|moeten|mag|mogen|kan|dat|die",
    negation="niet|geen|zonder|nooit",
    past="schreef|geschreven|gelezen|had|kreeg|ontvangen|ondertekend|vertaal|vertalen|corrigeer|lees|leer",
    tokens_per_word=(1.3, 2.4),
)

LANGUAGES = (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH, RUSSIAN)


@cache
def units() -> Mapping[str, tuple[Language, ...]]:
    """Each form of a unit, and the languages that have it."""
    forms = {form for language in LANGUAGES for form in language.unit_of}
    return {form: tuple(language for language in LANGUAGES if form in language.unit_of) for form in forms}


# Adjectives that may stand between the number and the unit.
DESCRIBING = (
    r"very|really|short|brief|concise|simple|full|complete|clear|long|detailed|quick|single|crisp|plain|separate|"
    r"different|distinct|english|key|main|markdown|solid|good|well-written|well-structured|medium|small|tight|punchy|"
    r"standard|typed|double-spaced|single-spaced|written|bulleted|bullet|full-length|informative|original|simple|"
    r"numbered|whole|entire|or so|kurze[nr]?|lange[nr]?|knappe[nr]?|vollständige[nr]?|ganze[nr]?|einfache[nr]?|"
    r"prägnante[nr]?|einzige[nrsm]?|courte?s?|brèves?|longs?|longues?|petits?|petites?|simples?|seule?s?|breves?|"
    r"cortas?|"
    r"cortos?|brevi|sole|soli|sola|solo|única|único|semplici|curtas?|curtos?|korte|lange|volledige|коротких|коротком|"
    r"кратких|полных|clave|clés?"
)
