package config

import "strings"

// Nearest returns the key that somebody who wrote key most likely meant, or "".
// Case, dashes, dots and underscores do not count, so that workerMemory and
// worker-memory find worker.memory; a key at the wrong level finds its own.
func Nearest(key string) string {
	written := plain(key)
	last := plain(key[strings.LastIndexByte(key, '.')+1:])
	best, least := "", tooFar(written)
	consider := func(name, candidate string) {
		d := away(written, plain(candidate))
		if written != last && !strings.Contains(candidate, ".") {
			d = min(d, distance(last, plain(candidate)))
		}
		if d < least {
			best, least = name, d
		}
	}
	for i := range Settings {
		consider(Settings[i].Key, Settings[i].Key)
		consider(Settings[i].Key, Settings[i].Flag())
	}
	for _, s := range sections() {
		consider(s, s)
	}
	return best
}

// NearestOf returns that of the names which somebody who wrote name most likely meant,
// or "". Of several that begin with it, it is the shortest.
func NearestOf(name string, names []string) string {
	written := plain(name)
	best, least := "", tooFar(written)
	for _, candidate := range names {
		d := away(written, plain(candidate))
		if d < least || d == least && best != "" && len(candidate) < len(best) {
			best, least = candidate, d
		}
	}
	return best
}

// tooFar is the distance at which nobody can have meant a name.
func tooFar(written string) int { return 1 + max(1, min(3, len(written)/3)) }

// away is how far a name is from what was written, of which it may be the whole.
func away(written, name string) int {
	d := distance(written, name)
	if len(written) >= 3 && strings.HasPrefix(name, written) {
		d = min(d, 1) // an abbreviation
	}
	return d
}

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// distance counts the characters to insert, delete, replace, or exchange with their
// neighbour, to make b of a.
func distance(a, b string) int {
	const longest = 100
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
