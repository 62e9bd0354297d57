"""A loop over records, lists, dictionaries, strings and calls, in the manner of the classic synthetic benchmarks; the argument is how often."""
import sys


class Record:
    def __init__(self, following=None, kind=0, number=0, text=""):
        self.following = following
        self.kind = kind
        self.number = number
        self.text = text

    def copy(self):
        return Record(self.following, self.kind, self.number, self.text)


def choose(kind, number):
    if kind == 0:
        return 1 if number > 100 else 3
    return (kind + number) % 5


def fill(table, row, column, value):
    for k in range(3):
        table[row][(column + k) % len(table[row])] = value + k
    return table[row][column % len(table[row])]


def work(loops):
    first = Record(text="SOME STRING")
    table = [[0] * 51 for _ in range(51)]
    words = {}
    total = 0
    for n in range(loops):
        second = first.copy()
        second.number = (n * 7 + total) % 1009
        second.kind = choose(second.kind, second.number)
        second.text = "%s %d" % (first.text[:4], second.number % 50)
        words[second.text] = words.get(second.text, 0) + 1
        total = (total + fill(table, n % 51, second.number, n)) % 1000003
        if second.text > first.text:
            total += len(second.text.split())
        total ^= sum(x * x for x in range(second.number % 7))
        first.following = second
    return total, len(words), sorted(words.items(), key=lambda item: (-item[1], item[0]))[:3]


print(work(int(sys.argv[1])))
