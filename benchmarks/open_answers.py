"""A right answer to each query of open_queries.py, so that its grader can be tried: code that passes the tests, and for
an explanation a text that names its points."""

import re

CODE = """
import re
from itertools import combinations
from math import prod
def clamp(value, low, high): return max(low, min(value, high))
def is_palindrome(text):
    kept = [c.lower() for c in text if c.isalnum()]
    return kept == kept[::-1]
def fibonacci(n):
    found = [0, 1]
    while len(found) < n: found.append(found[-1] + found[-2])
    return found[:n]
def count_vowels(text): return sum(c in "aeiou" for c in text.lower())
def flatten(items): return [y for x in items for y in (flatten(x) if isinstance(x, list) else [x])]
def is_prime(n): return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
def gcd(a, b):
    while b: a, b = b, a % b
    return abs(a)
def roman(n):
    said = ""
    for value, letters in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
                           (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        said += letters * (n // value)
        n %= value
    return said
def word_counts(text):
    words = re.findall(r"\\w+", text.lower())
    return {word: words.count(word) for word in words}
def chunks(items, size): return [items[i : i + size] for i in range(0, len(items), size)]
def unique(items): return list(dict.fromkeys(items))
def transpose(matrix): return [list(row) for row in zip(*matrix)]
def balanced(text):
    open_ = []
    for c in text:
        if c in "([{": open_.append(c)
        elif c in ")]}":
            if not open_ or open_.pop() + c not in ("()", "[]", "{}"): return False
    return not open_
def binary_search(items, target): return items.index(target) if target in items else -1
def caesar(text, shift):
    def one(c):
        base = ord("a" if c.islower() else "A")
        return chr((ord(c) - base + shift) % 26 + base) if c.isascii() and c.isalpha() else c
    return "".join(map(one, text))
def median(numbers):
    s = sorted(numbers)
    return (s[(len(s) - 1) // 2] + s[len(s) // 2]) / 2
def merge_sorted(a, b): return sorted(a + b)
def digit_sum(n): return sum(map(int, str(abs(n))))
def is_leap(year): return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
def factorial(n):
    if n < 0: raise ValueError(n)
    return prod(range(1, n + 1))
def title_case(text): return " ".join(word.capitalize() for word in text.split(" "))
def invert(mapping): return {v: k for k, v in mapping.items()}
def second_largest(numbers): return sorted(set(numbers))[-2]
def to_binary(n): return f"{n:b}"
def run_length(text):
    found = []
    for c in text:
        if found and found[-1][0] == c: found[-1] = (c, found[-1][1] + 1)
        else: found.append((c, 1))
    return found
def celsius(fahrenheit): return (fahrenheit - 32) * 5 / 9
def anagrams(a, b): return sorted(a.lower()) == sorted(b.lower())
def common(a, b): return sorted(set(a) & set(b))
def longest_word(text): return max(text.split(), key=len)
def rotate(items, k):
    k = k % len(items) if items else 0
    return items[len(items) - k :] + items[: len(items) - k]
def primes(limit): return [n for n in range(limit) if is_prime(n)]
def mean(numbers): return sum(numbers) / len(numbers) if numbers else None
def snake_case(name): return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
def power_set(items): return [list(c) for n in range(len(items) + 1) for c in combinations(items, n)]
def collatz(n):
    steps = 0
    while n != 1: n, steps = (3 * n + 1 if n % 2 else n // 2), steps + 1
    return steps
def dot(a, b):
    if len(a) != len(b): raise ValueError("lengths differ")
    return sum(x * y for x, y in zip(a, b))
def evens(numbers): return [n for n in numbers if n % 2 == 0]
def bubble_sort(items): return sorted(items)
def seconds(text):
    h, m, s = map(int, text.split(":"))
    return h * 3600 + m * 60 + s
def perfect(n): return n > 1 and sum(d for d in range(1, n) if n % d == 0) == n
"""


def explained(expressions: list[str]) -> str:
    """The first word or phrase of each expression."""
    return ", ".join(re.sub(r"[?\\]", "", each.partition("|")[0]) for each in expressions)
