package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// mapArgs demands [APP] -- COMMAND…, or with --python [APP] alone.
func mapArgs(cmd *cobra.Command, args []string) error {
	if !cmd.Flags().Changed("python") {
		return appAndCommand(cmd, args)
	}
	if len(args) > 1 || cmd.ArgsLenAtDash() >= 0 && len(args) > cmd.ArgsLenAtDash() {
		return usage(cmd.CommandPath()+" --python takes an application or none, and no command", "Leave away what follows --, or --python")
	}
	return nil
}

// checkPython refuses what names no function.
func checkPython(ref string) error {
	module, name, ok := strings.Cut(ref, ":")
	if ok && module != "" && name != "" && !strings.ContainsAny(name, ": ") {
		return nil
	}
	return usage(fmt.Sprintf("--python %q names no function", ref), "Write it as package.module:function")
}

// mapped is what the items of a map give.
type mapped struct {
	results iter.Seq2[yarnd.CommandResult, error]
	number  func() int // of the item whose result was given last
	release func()
}

// mapOver runs a task for every input. show makes what is written of a result.
func mapOver[In, Out any](ctx context.Context, client *yarnd.Client, task *yarnd.Task[In, Out], inputs iter.Seq[In], any bool, show func(Out) (yarnd.CommandResult, error)) mapped {
	batch := task.Map(ctx, client, inputs)
	done := -1
	m := mapped{release: batch.Release, number: func() int { return done }}
	results := batch.All(ctx)
	if any {
		next, stop := iter.Pull(batch.InOrderOfEnding(ctx))
		m.release = func() { stop(); batch.Release() }
		results, m.number = batch.Completed(ctx), func() int { i, _ := next(); return i }
	}
	m.results = func(yield func(yarnd.CommandResult, error) bool) {
		for result, err := range results {
			done++
			var shown yarnd.CommandResult
			if err == nil {
				shown, err = show(result)
			}
			if !yield(shown, err) {
				return
			}
		}
	}
	return m
}

// mapCommand runs a command for every line.
func (o mapOptions) mapCommand(ctx context.Context, client *yarnd.Client, argv []string, lines *lines) mapped {
	task := yarnd.Command(argv, o.taskOptions()...)
	return mapOver(ctx, client, task, lines.all(), o.any, func(r yarnd.CommandResult) (yarnd.CommandResult, error) { return r, nil })
}

// mapPython calls a Python function with every line, which is JSON. What it returns is
// a line of JSON.
func (o mapOptions) mapPython(ctx context.Context, client *yarnd.Client, lines *lines) mapped {
	options := []engine.PythonOption{engine.Retries(o.retries), engine.TimeLimit(o.limit), engine.Env(o.pythonEnv()), engine.Memory(uint64(o.memory))}
	for _, x := range o.named {
		options = append(options, engine.Resource(x.Name, uint32(x.Count)))
	}
	return mapOver(ctx, client, engine.Python[any, any](o.python, options...), values(lines), o.any, func(v any) (r yarnd.CommandResult, err error) {
		line, err := json.Marshal(plain(v))
		if err != nil {
			return r, &edgeclient.Fault{Code: edgeclient.Usage, What: o.python + " returned what JSON has no form for", Why: err, Next: "Return numbers, strings, lists and dicts of them"}
		}
		r.Stdout = append(line, '\n')
		return r, nil
	})
}

// pythonEnv is the environment of interpreters: modules of the directory in which
// commands would run are found.
func (o mapOptions) pythonEnv() map[string]string {
	if o.dir == "" {
		return o.env
	}
	env := maps.Clone(o.env)
	if env == nil {
		env = map[string]string{}
	}
	env["PYTHONPATH"] = strings.TrimSuffix(o.dir+string(os.PathListSeparator)+env["PYTHONPATH"], string(os.PathListSeparator))
	return env
}

// values reads lines as JSON, until one is none.
func values(lines *lines) iter.Seq[any] {
	return func(yield func(any) bool) {
		n := 0
		for line := range lines.all() {
			n++
			v, err := parseValue(line)
			if err != nil {
				lines.err = usage(fmt.Sprintf("item %d, %s, is no JSON: %v", n, brief(line), err), `Write a value a line: 5, "text", [1, 2], {"a": 1}`)
				return
			}
			if !yield(v) {
				return
			}
		}
	}
}

func parseValue(line string) (any, error) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return numbers(v), nil
}

// numbers makes integers of whole numbers, and floats of others.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return v
}

// plain makes what the codec decodes fit for JSON: keys are text.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, x := range v {
			m[fmt.Sprint(key)] = plain(x)
		}
		return m
	}
	return v
}
