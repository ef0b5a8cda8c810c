package nm

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// webHandler serves what is asked of a NodeManager's web server: logs, as text in Hadoop's frame and as a page, and
// what the node is. Sources: NMWebServices, LogToolUtils, ContainerLogsPage (3.4.2).
func (n *Node) webHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/v1/node", n.webInfo)
	mux.HandleFunc("GET /ws/v1/node/info", n.webInfo)
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs", n.webLogs)
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs/{file}", n.webLog)
	mux.HandleFunc("GET /ws/v1/node/containerlogs/{id}/{file}", n.webLog)
	mux.HandleFunc("GET /node/containerlogs/{id}/{user}", n.webPage)
	mux.HandleFunc("GET /node/containerlogs/{id}/{user}/{file}", n.webPageLog)
	mux.HandleFunc("GET /node/containerlogs/{id}/{user}/{file}/{$}", n.webPageLog)
	return mux
}

// errNoLog is answered with 404.
var errNoLog = errors.New("Cannot find this log on the local disk.")

// openLog opens a log of a container whose application is known. File names lead nowhere else.
func (n *Node) openLog(container, file string) (*os.File, fs.FileInfo, error) {
	id, err := n.webContainer(container)
	if err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(n.LogDir(id))
	if err != nil {
		return nil, nil, errNoLog
	}
	defer root.Close()
	f, err := root.Open(file)
	if err != nil {
		return nil, nil, errNoLog
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, nil, errNoLog
	}
	return f, st, nil
}

func (n *Node) webContainer(container string) (yarn.ContainerID, error) {
	id, err := yarn.ParseContainerID(container)
	if err != nil {
		return id, errNoLog
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.apps[id.Attempt.App] == nil {
		return id, fmt.Errorf("Unknown container. Container either has not started or has already completed or doesn't belong to this node at all.")
	}
	return id, nil
}

func notFound(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusNotFound) }

// webLog sends one log in its frame: size is how many bytes, from the end if negative.
func (n *Node) webLog(w http.ResponseWriter, r *http.Request) {
	if fault := n.faultsNow().Web; fault != nil {
		if status := fault(r); status != 0 {
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Negotiate")
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
	}
	id, file := r.PathValue("id"), r.PathValue("file")
	size := int64(1<<63 - 1)
	if s := r.URL.Query().Get("size"); s != "" {
		var err error
		if size, err = strconv.ParseInt(s, 10, 64); err != nil {
			http.Error(w, "Invalid size: "+s, http.StatusBadRequest)
			return
		}
	}
	f, st, err := n.openLog(id, file)
	if err != nil {
		notFound(w, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	title := fmt.Sprintf("Container: %s on %s", id, n.id)
	fmt.Fprintf(w, "%s\nLogAggregationType: LOCAL\n%s\nLogType:%s\nLogLastModifiedTime:%s\nLogLength:%d\nLogContents:\n",
		title, strings.Repeat("=", len(title)), file, st.ModTime().Format("Mon Jan 02 15:04:05 -0700 2006"), st.Size())
	begin, count := int64(0), min(size, st.Size())
	if size < 0 {
		begin = max(0, st.Size()+size)
		count = st.Size() - begin
	}
	io.Copy(w, io.NewSectionReader(f, begin, count))
	end := "End of LogType:" + file
	fmt.Fprint(w, end+".")
	if n.webRunning(id) {
		fmt.Fprintf(w, "This log file belongs to a running container (%s) and so may not be complete.", id)
	}
	fmt.Fprintf(w, "\n%s\n\n", strings.Repeat("*", len(end)+50))
}

func (n *Node) webRunning(container string) bool {
	id, err := yarn.ParseContainerID(container)
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.containers[id]
	return err == nil && c != nil && c.phase < completing
}

// webLogs lists a container's logs.
func (n *Node) webLogs(w http.ResponseWriter, r *http.Request) {
	id, err := n.webContainer(r.PathValue("id"))
	var files []fs.DirEntry
	if err == nil {
		files, err = os.ReadDir(n.LogDir(id))
	}
	if err != nil {
		notFound(w, err)
		return
	}
	type info struct {
		FileName         string `json:"fileName"`
		FileSize         string `json:"fileSize"`
		LastModifiedTime string `json:"lastModifiedTime"`
	}
	infos := []info{}
	for _, f := range files {
		if st, err := f.Info(); err == nil && st.Mode().IsRegular() {
			infos = append(infos, info{f.Name(), strconv.FormatInt(st.Size(), 10), st.ModTime().Format("Mon Jan 02 15:04:05 -0700 2006")})
		}
	}
	writeJSON(w, map[string]any{"containerLogsInfo": map[string]any{
		"containerLogInfo": infos, "logAggregationType": "LOCAL", "containerId": id.String(), "nodeId": n.id.String(),
	}})
}

func (n *Node) webInfo(w http.ResponseWriter, _ *http.Request) {
	report := n.faultsNow().Disks
	writeJSON(w, map[string]any{"nodeInfo": map[string]any{
		"id": n.id.String(), "nodeHostName": n.id.Host, "nodeManagerVersion": "3.4.2", "hadoopVersion": "3.4.2",
		"totalPmemAllocatedContainersMB": n.opt.Capability.MemoryMiB, "totalVCoresAllocatedContainers": n.opt.Capability.VCores,
		"totalVmemAllocatedContainersMB": int64(float64(n.opt.Capability.MemoryMiB) * n.opt.VmemRatio),
		"vmemCheckEnabled":               n.opt.CheckVmem, "pmemCheckEnabled": n.opt.CheckPmem,
		"nodeHealthy": report == "", "healthReport": report, "lastNodeUpdateTime": time.Now().UnixMilli(),
	}})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(v)
}

// webPage lists a container's logs for a person.
func (n *Node) webPage(w http.ResponseWriter, r *http.Request) {
	id, err := n.webContainer(r.PathValue("id"))
	var files []fs.DirEntry
	if err == nil {
		files, err = os.ReadDir(n.LogDir(id))
	}
	if err != nil {
		notFound(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><title>Logs for %s</title><h1>Logs for %s</h1><ul>\n", id, id)
	for _, f := range files {
		name := html.EscapeString(f.Name())
		fmt.Fprintf(w, "<li><a href=\"%s/%s\">%s</a>\n", html.EscapeString(r.PathValue("user")), name, name)
	}
	fmt.Fprint(w, "</ul>\n")
}

// webPageLog shows one log, its last 4 KiB unless start says otherwise.
func (n *Node) webPageLog(w http.ResponseWriter, r *http.Request) {
	f, st, err := n.openLog(r.PathValue("id"), r.PathValue("file"))
	if err != nil {
		notFound(w, err)
		return
	}
	defer f.Close()
	start := int64(-4096)
	if s := r.URL.Query().Get("start"); s != "" {
		if start, err = strconv.ParseInt(s, 10, 64); err != nil {
			http.Error(w, "Invalid log start value: "+s, http.StatusBadRequest)
			return
		}
	}
	if start < 0 {
		start = max(0, st.Size()+start)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, min(start, st.Size()), min(st.Size(), 16<<20)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><title>%s</title><pre>%s</pre>\n", html.EscapeString(r.PathValue("file")), html.EscapeString(string(text)))
}
