package providertest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// act is the first argument of a container's process.
const act = "providertest"

// Found is what a container's process found; it prints this as JSON on stdout.
type Found struct {
	Dir     string
	Args    []string
	Env     map[string]string
	Files   []string
	Secrets map[string][]byte
	Mode    string // of the credentials file
	Child   int    // a process that it started and left behind
}

// Main makes this process play a container if that is what it was started for; it
// does not return then.
func Main() {
	if filepath.Base(os.Args[0]) != "yarnd" || len(os.Args) < 2 || os.Args[1] != act {
		return
	}
	os.Exit(play(os.Args[2:]))
}

// args returns the arguments of a process that plays so.
func args(how ...string) []string { return append([]string{act}, how...) }

func play(how []string) int {
	switch how[0] {
	case "exit":
		code, err := strconv.Atoi(how[1])
		if err != nil {
			return 125
		}
		return code
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "say":
		for i := range 10 {
			fmt.Printf("line %d\n", i)
		}
		fmt.Fprintln(os.Stderr, "last words")
		return 7
	case "find":
		found := find()
		text, err := json.Marshal(found)
		if err != nil {
			return 125
		}
		fmt.Println(string(text))
		sleep()
	case "family":
		// A child that ignores requests to end and lives as long as it is let.
		cmd := exec.Command("/bin/sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done")
		if err := cmd.Start(); err != nil {
			return 125
		}
		fmt.Println(cmd.Process.Pid)
		sleep()
	case "nest":
		// A child that takes in what falls to it, as executors do, in a group of its own.
		cmd := exec.Command("/proc/self/exe", args("adopter")...)
		cmd.Args[0], cmd.Stdout, cmd.SysProcAttr = os.Args[0], os.Stdout, &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			return 125
		}
		sleep()
	case "adopter":
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return 125
		}
		// Its grandchild has left the session, and then its parent.
		cmd := exec.Command("setsid", "sh", "-c", "sleep 600 & echo $!")
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			return 125
		}
		sleep()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(10 * time.Minute)
	case "grow":
		var held [][]byte
		for range 4096 {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 512 {
				b[i] = byte(i) + 1
			}
			held = append(held, b)
			time.Sleep(2 * time.Millisecond)
		}
		return len(held) % 2
	case "sleep":
		sleep()
	}
	return 0
}

// sleep waits to be told to end; left alone, it ends in ten minutes.
func sleep() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	select {
	case <-ch:
	case <-time.After(10 * time.Minute):
	}
}

func find() Found {
	dir, _ := os.Getwd()
	f := Found{Dir: dir, Args: os.Args, Env: map[string]string{}, Secrets: map[string][]byte{}}
	for _, kv := range os.Environ() {
		key, value, _ := strings.Cut(kv, "=")
		f.Env[key] = value
	}
	entries, _ := os.ReadDir(".")
	for _, e := range entries {
		f.Files = append(f.Files, e.Name())
	}
	path := os.Getenv("HADOOP_TOKEN_FILE_LOCATION")
	if st, err := os.Stat(path); err == nil {
		f.Mode = st.Mode().Perm().String()
	}
	if creds, err := token.ReadFile(path); err == nil {
		f.Secrets = creds.Secrets
	}
	return f
}
