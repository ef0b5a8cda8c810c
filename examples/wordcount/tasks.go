package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// The graph: a task for each split counts its words and cuts the counts into
// parts by the words' hash; a task for each part adds up that part of every
// split, sorts it and writes its file. Files appear whole, by a rename, so that a
// task that runs twice does no harm.

var countTask = yarnd.Define("wordcount.count", countSplit)
var reduceTask = yarnd.Define("wordcount.reduce", reducePart)

type countIn struct {
	Split split
	Parts int
	Pause time.Duration
}

// counted is what is known of one split: for each part, rows of
// uvarint length, word, uvarint count.
type counted struct {
	Local bool // the block was read on a node that holds it
	Parts [][]byte
}

type reduceIn struct {
	Part   int
	Out    string // URL of the directory
	Counts []yarnd.Ref[counted]
	Pause  time.Duration
}

type reduced struct {
	Words, Different int64
	Local            int64 // splits read locally; the same in each part
}

// countWords runs the graph and waits for it.
func countWords(ctx context.Context, cluster *yarnd.Cluster, work []split, out string, o options) (reduced, error) {
	refs := make([]yarnd.Ref[counted], len(work))
	for i, s := range work {
		f := countTask.Submit(ctx, cluster.Client, countIn{s, o.parts, o.pause}, engine.Hosts(s.Blocks...), engine.Loose())
		refs[i] = f.Ref()
	}
	files := make([]*yarnd.Future[reduced], o.parts)
	for p := range files {
		files[p] = reduceTask.Submit(ctx, cluster.Client, reduceIn{p, out, refs, o.pause})
	}
	var total reduced
	for _, f := range files {
		r, err := f.Result(ctx)
		if err != nil {
			return total, err
		}
		total.Words += r.Words
		total.Different += r.Different
		total.Local = r.Local
	}
	return total, nil
}

func countSplit(ctx context.Context, in countIn) (counted, error) {
	fs, err := filesOf(ctx, in.Split.Path)
	if err != nil {
		return counted{}, err
	}
	t, err := count(ctx, fs, in.Split)
	if err != nil {
		return counted{}, err
	}
	info, _ := engine.Info(ctx)
	local := strings.HasPrefix(in.Split.Path, "file:") || slices.Contains(in.Split.Blocks, info.Host)
	out := counted{Local: local, Parts: make([][]byte, in.Parts)}
	for word, n := range t {
		p := partOf(word, in.Parts)
		out.Parts[p] = appendRow(out.Parts[p], word, *n)
	}
	return out, rest(ctx, in.Pause)
}

func partOf(word string, parts int) int {
	h := fnv.New32a()
	io.WriteString(h, word)
	return int(h.Sum32() % uint32(parts))
}

func reducePart(ctx context.Context, in reduceIn) (reduced, error) {
	var r reduced
	sum := tally{}
	for _, ref := range in.Counts {
		c := ref.Value()
		if c.Local {
			r.Local++
		}
		if err := addRows(sum, c.Parts[in.Part]); err != nil {
			return r, err
		}
	}
	fs, err := filesOf(ctx, in.Out)
	if err != nil {
		return r, err
	}
	var file bytes.Buffer
	w := bufio.NewWriter(&file)
	for _, word := range slices.SortedFunc(maps.Keys(sum), cmp.Compare[string]) {
		n := *sum[word]
		r.Different++
		r.Words += n
		w.WriteString(word)
		w.WriteByte('\t')
		w.WriteString(strconv.FormatInt(n, 10))
		w.WriteByte('\n')
	}
	w.Flush()
	name := fmt.Sprintf("%s/part-r-%05d", in.Out, in.Part)
	if err := rest(ctx, in.Pause); err != nil {
		return r, err
	}
	_, err = hdfs.Upload(ctx, fs, name, bytes.NewReader(file.Bytes()), hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Perm: 0o644}, Size: int64(file.Len())})
	return r, err
}

func appendRow(b []byte, word string, n int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(word)))
	b = append(b, word...)
	return binary.AppendUvarint(b, uint64(n))
}

func addRows(sum tally, rows []byte) error {
	for len(rows) > 0 {
		length, n := binary.Uvarint(rows)
		if n <= 0 || length > uint64(len(rows)-n) {
			return fmt.Errorf("damaged counts")
		}
		word := rows[n : n+int(length)]
		times, m := binary.Uvarint(rows[n+int(length):])
		if m <= 0 {
			return fmt.Errorf("damaged counts")
		}
		sum.add(word, int64(times))
		rows = rows[n+int(length)+m:]
	}
	return nil
}

// rest holds a task back.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The process keeps its connection to HDFS over the tasks that it runs.
var (
	openMu sync.Mutex
	opened = map[bool]hdfs.FS{} // by whether it is the local one
)

func filesOf(ctx context.Context, url string) (hdfs.FS, error) {
	local := strings.HasPrefix(url, "file:")
	openMu.Lock()
	defer openMu.Unlock()
	if fs, ok := opened[local]; ok {
		return fs, nil
	}
	fs, err := openFiles(context.WithoutCancel(ctx), local)
	if err == nil {
		opened[local] = fs
	}
	return fs, err
}
