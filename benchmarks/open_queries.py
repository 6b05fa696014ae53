"""Queries that ask for a text: Python functions, which their tests check, and explanations, which are right if they
name every point that one must name. Both are beyond a budget of a few tokens."""

FUNCTIONS = (
    # the query, what must hold of the function
    (
        "Write a Python function clamp(value, low, high) that keeps a number within two bounds.",
        "clamp(5, 0, 3) == 3 and clamp(-1, 0, 3) == 0 and clamp(2, 0, 3) == 2",
    ),
    (
        "Write a Python function is_palindrome(text) that ignores case, spaces and punctuation.",
        "is_palindrome('Never odd, or even!') and is_palindrome('') and not is_palindrome('abca')",
    ),
    (
        "Write a Python function fibonacci(n) that returns the list of the first n Fibonacci numbers, starting at 0.",
        "fibonacci(7) == [0, 1, 1, 2, 3, 5, 8] and fibonacci(1) == [0] and fibonacci(0) == []",
    ),
    (
        "Write a Python function count_vowels(text).",
        "count_vowels('Ordinary Umbrella') == 6 and count_vowels('rhythm') == 0",
    ),
    (
        "Write a function in Python, flatten(items), that flattens lists nested to any depth.",
        "flatten([1, [2, [3, []]], [[4]]]) == [1, 2, 3, 4] and flatten([]) == []",
    ),
    (
        "I need a Python function is_prime(n) that works for every integer, negative ones too.",
        "[n for n in range(-3, 20) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19]",
    ),
    (
        "Write a Python function gcd(a, b) without importing anything.",
        "gcd(48, 36) == 12 and gcd(7, 5) == 1 and gcd(0, 9) == 9",
    ),
    (
        "Write a Python function roman(n) that returns the Roman numeral of an integer from 1 to 3999.",
        "roman(1994) == 'MCMXCIV' and roman(4) == 'IV' and roman(58) == 'LVIII'",
    ),
    (
        "Write a Python function word_counts(text) that returns a dict from each lower-case word to its count.",
        "dict(word_counts('The cat and the hat')) == {'the': 2, 'cat': 1, 'and': 1, 'hat': 1}",
    ),
    (
        "Write a Python function chunks(items, size) that splits a list into lists of that size, the last one shorter.",
        "[list(c) for c in chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]] and list(chunks([], 3)) == []",
    ),
    (
        "Write a Python function unique(items) that removes duplicates and keeps the order.",
        "list(unique([3, 1, 3, 2, 1])) == [3, 1, 2]",
    ),
    (
        "Write a Python function transpose(matrix) for a list of equally long lists.",
        "[list(row) for row in transpose([[1, 2, 3], [4, 5, 6]])] == [[1, 4], [2, 5], [3, 6]]",
    ),
    (
        "Write a Python function balanced(text) that tells whether the brackets (), [] and {} in it are balanced.",
        "balanced('a(b[c]{d})') and not balanced('(]') and not balanced('((') and balanced('')",
    ),
    (
        "Write a Python function binary_search(items, target) on a sorted list. It returns the index, or -1.",
        "binary_search([1, 4, 6, 9], 6) == 2 and binary_search([1, 4], 5) == -1 and binary_search([], 1) == -1",
    ),
    (
        "Write a Python function caesar(text, shift) that shifts letters, keeps their case and leaves the rest alone.",
        "caesar('Xyz, abc!', 3) == 'Abc, def!' and caesar('b', -1) == 'a'",
    ),
    (
        "Write a Python function median(numbers).",
        "median([3, 1, 2]) == 2 and median([4, 1, 3, 2]) == 2.5",
    ),
    (
        "Write a Python function merge_sorted(a, b) that merges two sorted lists into one sorted list.",
        "merge_sorted([1, 4, 6], [2, 4]) == [1, 2, 4, 4, 6] and merge_sorted([], [1]) == [1]",
    ),
    (
        "Write a Python function digit_sum(n) for integers; the sign does not matter.",
        "digit_sum(1234) == 10 and digit_sum(-90) == 9 and digit_sum(0) == 0",
    ),
    (
        "Write a Python function is_leap(year).",
        "is_leap(2024) and is_leap(2000) and not is_leap(1900) and not is_leap(2023)",
    ),
    (
        "Write a Python function factorial(n) that raises ValueError for negative numbers.",
        "factorial(5) == 120 and factorial(0) == 1 and raises(ValueError, factorial, -1)",
    ),
    (
        "Write a Python function title_case(text) that capitalises the first letter of every word.",
        "title_case('the quick brown fox') == 'The Quick Brown Fox'",
    ),
    (
        "Write a Python function invert(mapping) that swaps the keys and the values of a dict.",
        "invert({'a': 1, 'b': 2}) == {1: 'a', 2: 'b'} and invert({}) == {}",
    ),
    (
        "Write a Python function second_largest(numbers) that returns the second largest distinct number.",
        "second_largest([4, 9, 9, 7]) == 7 and second_largest([1, 2]) == 1 and second_largest([-1, -5, -3]) == -3",
    ),
    (
        "Write a Python function to_binary(n) that returns the binary digits of a non-negative integer as a string, "
        "without a prefix.",
        "to_binary(10) == '1010' and to_binary(0) == '0' and to_binary(1) == '1'",
    ),
    (
        "Write a Python function run_length(text) that turns 'aaab' into [('a', 3), ('b', 1)].",
        "[tuple(p) for p in run_length('aaabcc')] == [('a', 3), ('b', 1), ('c', 2)] and list(run_length('')) == []",
    ),
    (
        "Write a Python function celsius(fahrenheit) that converts a temperature.",
        "abs(celsius(212) - 100) < 1e-9 and abs(celsius(-40) + 40) < 1e-9",
    ),
    (
        "Write a Python function anagrams(a, b) that tells whether two words are anagrams, whatever their case.",
        "anagrams('Listen', 'Silent') and not anagrams('aab', 'abb')",
    ),
    (
        "Write a Python function common(a, b) that returns a sorted list of the elements two lists share, each once.",
        "list(common([3, 1, 2, 3], [3, 2, 5])) == [2, 3] and list(common([1], [2])) == []",
    ),
    (
        "Write a Python function longest_word(text) that returns the longest word; of equally long ones, the first.",
        "longest_word('a bird flew over') == 'bird' and longest_word('one') == 'one'",
    ),
    (
        "Write a Python function rotate(items, k) that rotates a list k places to the right, for any k.",
        "rotate([1, 2, 3, 4], 1) == [4, 1, 2, 3] and rotate([1, 2, 3], 5) == [2, 3, 1] and rotate([], 2) == []",
    ),
    (
        "Write a Python function primes(limit) that returns all prime numbers below limit.",
        "list(primes(20)) == [2, 3, 5, 7, 11, 13, 17, 19] and list(primes(2)) == []",
    ),
    (
        "Write a Python function mean(numbers) that returns None for an empty list.",
        "mean([1, 2, 6]) == 3 and mean([]) is None",
    ),
    (
        "Write a Python function snake_case(name) that turns a CamelCase name into snake_case.",
        "snake_case('ParsedUserName') == 'parsed_user_name' and snake_case('Word') == 'word'",
    ),
    (
        "Write a Python function power_set(items) that returns a list of all subsets.",
        "sorted(map(sorted, power_set([1, 2]))) == [[], [1], [1, 2], [2]] and len(power_set([1, 2, 3])) == 8",
    ),
    (
        "Write a Python function collatz(n) that returns how many steps the Collatz rule needs to reach 1.",
        "collatz(6) == 8 and collatz(1) == 0",
    ),
    (
        "Write a Python function dot(a, b), the dot product of two lists. Raise ValueError if their lengths differ.",
        "dot([1, 2, 3], [4, 5, 6]) == 32 and raises(ValueError, dot, [1], [1, 2])",
    ),
    (
        "Write a Python function evens(numbers) that keeps the even ones.",
        "list(evens([1, 2, 3, 4, -6])) == [2, 4, -6]",
    ),
    (
        "Write a Python function bubble_sort(items) that returns a sorted list and leaves its argument as it was.",
        "bubble_sort([3, 1, 2]) == [1, 2, 3] and unchanged(bubble_sort, [3, 1, 2])",
    ),
    (
        "Write a Python function seconds(text) that turns 'h:mm:ss' into seconds.",
        "seconds('1:02:03') == 3723 and seconds('0:00:59') == 59",
    ),
    (
        "Write a Python function perfect(n) that tells whether a positive integer equals the sum of its proper "
        "divisors.",
        "[n for n in range(1, 500) if perfect(n)] == [6, 28, 496]",
    ),
)

HELPERS = """
def raises(error, function, *arguments):
    try:
        function(*arguments)
    except error:
        return True
    return False
def unchanged(function, argument):
    before = list(argument)
    function(argument)
    return argument == before
"""

EXPLANATIONS = (
    # the query, expressions that each must be found
    (
        "Explain how photosynthesis works.",
        "light",
        "carbon dioxide|CO2|CO₂",
        "water|H2O|H₂O",
        "oxygen",
        "sugar|glucose",
    ),
    ("Why is the sky blue?", "scatter", "wavelength|Rayleigh", "atmospher|air|molecul"),
    ("Why do we have seasons?", "tilt|axis|axial", "orbit|revol|around the sun", "hemisphere|direct|angle"),
    ("Explain the water cycle.", "evaporat", "condens", "precipitat|rain", "cloud|vapou?r"),
    ("How does a vaccine protect us?", "immun", "antibod|memory", "antigen|weakened|inactivated|mRNA|harmless|virus"),
    ("What causes tides?", "moon", "gravit", "bulge|rotat|pull|sun"),
    (
        "Explain the difference between RAM and a hard disk.",
        "volatile|tempora|power",
        "faster|speed|slow",
        "perman|long|stor",
    ),
    (
        "What is recursion in programming?",
        "calls? itself|call to itself|calling itself|invokes itself",
        "base case|terminat|stop",
        "smaller|sub-?problem|simpler",
    ),
    (
        "Explain supply and demand.",
        "price",
        "increase|rise|higher|up",
        "decrease|fall|lower|down",
        "equilibrium|balance|quantity",
    ),
    ("How does a refrigerator keep food cold?", "refrigerant|coolant", "evaporat", "compress", "heat"),
    (
        "What is the difference between weather and climate?",
        "short|day|current|moment",
        "long|years|decades",
        "average|pattern",
    ),
    ("Explain how the heart pumps blood.", "atri", "ventricle", "lung|pulmonary|oxygen"),
    ("What is DNA?", "gene", "helix|strand", "base|nucleotide"),
    ("How do airplanes fly?", "lift", "wing", "thrust|engine", "drag|pressure|weight|gravity"),
    (
        "Explain the greenhouse effect.",
        "infrared|heat|radiat",
        "carbon dioxide|CO2|CO₂|methane",
        "trap|absor",
        "atmospher",
    ),
    (
        "What is inflation in economics?",
        "price",
        "purchasing power|value of money|buy less|buys less|buying power",
        "rate|over time|general",
    ),
    ("What is machine learning?", "data", "learn|train", "pattern|predict|decision"),
    ("Explain how a rainbow forms.", "refract|bend|bent", "reflect", "drop|rain", "sun|light"),
    ("What is the difference between TCP and UDP?", "connection", "reliab", "fast|speed|latency|overhead"),
    ("Why does ice float on water?", "dens", "hydrogen|expand|crystal|lattice|structure|less dense"),
    ("Explain what an operating system does.", "hardware", "memory", "process|program|application|software"),
    ("How does a battery produce electricity?", "chemical", "electron", "anode|cathode|electrode"),
    ("What is evolution by natural selection?", "variation|mutation|trait", "surviv", "reproduc|offspring|generation"),
    ("Explain the difference between a virus and a bacterium.", "antibiotic", "cell", "host|replicat|reproduc"),
    ("What causes earthquakes?", "plate", "fault", "energy|stress|wave|seismic"),
    (
        "How do noise-cancelling headphones work?",
        "microphone",
        "invert|opposite|anti|phase",
        "cancel|destructive|interfer",
    ),
    (
        "Explain what a database index is for.",
        "fast|speed|quick|perform",
        "column|key",
        "scan|lookup|look up|search|quer|retriev",
        "writ|insert|update|storage|space",
    ),
    (
        "What is the difference between a list and a tuple in Python?",
        "mutable|chang|modif",
        "immutable|cannot be|can't be|can not be",
    ),
    (
        "Explain the theory of plate tectonics.",
        "lithosphere|crust",
        "mantle|asthenosphere",
        "boundar|converg|diverg|mountain|earthquake",
    ),
    (
        "How does the Internet find the server of a domain name?",
        "DNS|domain name system",
        "IP",
        "resolv|quer|look|request",
    ),
    (
        "Why do leaves change colour in autumn?",
        "chlorophyll",
        "carotenoid|xanthophyll|anthocyanin|pigment",
        "break|less|stop|decreas|degrad|light|day",
    ),
    (
        "What is compound interest? Explain it with an example.",
        "principal|initial|original",
        "interest on|accumulated|previous|added",
        r"\$|%|£|€",
    ),
    ("Explain how HTTPS keeps data safe.", "encrypt", "certificate|authenticat", "TLS|SSL|key"),
    (
        "What were the causes of World War I?",
        "alliance",
        "Franz Ferdinand|assassinat|Archduke",
        "nationalis|imperialis|militaris",
    ),
    ("How do bees make honey?", "nectar", "enzyme|stomach|regurgitat|mouth", "water|evaporat|fan|comb"),
    ("Explain Newton's three laws of motion.", "inertia|at rest|remain", "mass", "accelerat", "opposite"),
    ("What is a black hole?", "gravit", "light|escape", "star|collaps|singularity|event horizon"),
    (
        "Explain what photosensitive film and a digital sensor do in a camera.",
        "light",
        "chemical|silver|film",
        "pixel|electr|digital",
    ),
    (
        "How does soap clean?",
        "oil|grease|fat|dirt",
        "hydrophob|hydrophil|water-|water|polar",
        "micelle|molecule|surfactant|surface tension|emulsi",
    ),
    (
        "Explain the difference between mitosis and meiosis.",
        "identical|two",
        "four|half|haploid|gamete|sex",
        "chromosome|genetic|diploid",
    ),
)


def tests(condition: str) -> str:
    """Code for the code grader."""
    return f"{HELPERS}\nassert {condition}\n"


def points(expressions: list[str]) -> str:
    """One regular expression that finds a text with all of them, in any order and case."""
    return r"(?is)\A" + "".join(f"(?=.*(?:{each}))" for each in expressions)
