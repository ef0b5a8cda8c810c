package edgeclient

import (
	"context"
	"os"
)

func (l *localCluster) FinishedLogs(_ context.Context, r Report, yield func(LogFile) error) error {
	containers, err := os.ReadDir(l.dir(r.ID, "logs"))
	if err != nil {
		return wrap(NotFound, "no logs of "+r.ID, err, "")
	}
	for _, c := range containers {
		files, err := os.ReadDir(l.dir(r.ID, "logs", c.Name()))
		if err != nil {
			return wrap(Internal, "cannot read the logs of "+r.ID, err, "")
		}
		for _, file := range files {
			if err := yieldFile(l.dir(r.ID, "logs", c.Name(), file.Name()), c.Name(), file.Name(), yield); err != nil {
				return err
			}
		}
	}
	return nil
}

func yieldFile(path, container, name string, yield func(LogFile) error) error {
	f, err := os.Open(path)
	if err != nil {
		return wrap(Internal, "cannot read a log", err, "")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return wrap(Internal, "cannot read a log", err, "")
	}
	host, _ := os.Hostname()
	return yield(LogFile{Container: container, Node: host, Name: name, Size: info.Size(), Content: f})
}
