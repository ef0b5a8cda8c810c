package rm

import (
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Version is the Hadoop version that this ResourceManager says it is.
const Version = "3.4.2"

// webServer holds the pages' listener, which can be shut and opened again on the same port.
type webServer struct {
	addr    string
	handler http.Handler
	client  *http.Client // of the proxy

	mu   sync.Mutex
	l    net.Listener
	hold func() // lets the port go that is held while nobody listens; nil: it is not held
	srv  *http.Server
	wg   sync.WaitGroup
}

// newWeb makes the pages of m's door i.
func newWeb(addr string, m *RM, i int) (*webServer, error) {
	mux := http.NewServeMux()
	w := &webServer{addr: addr, handler: m.behind(i, mux), client: newProxyClient()}
	if err := w.listen(); err != nil {
		return nil, err
	}
	w.addr = w.l.Addr().String()
	mux.HandleFunc("GET /ws/v1/cluster", m.serveInfo)
	mux.HandleFunc("GET /ws/v1/cluster/info", m.serveInfo)
	mux.HandleFunc("GET /ws/v1/cluster/apps", m.serveApps)
	mux.HandleFunc("GET /ws/v1/cluster/apps/{id}", m.serveApp)
	mux.HandleFunc("GET /conf", m.serveConf)
	mux.HandleFunc("GET /cluster/app/{id}", m.servePage)
	mux.HandleFunc("/proxy/{id}", m.serveProxy)
	mux.HandleFunc("/proxy/{id}/{rest...}", m.serveProxy)
	return w, nil
}

func (w *webServer) listen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.l != nil {
		return nil
	}
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		return err
	}
	w.letGo()
	w.l = l
	return nil
}

// start listens and serves, unless it does.
func (w *webServer) start() error {
	w.mu.Lock()
	serving := w.srv != nil
	w.mu.Unlock()
	if serving {
		return nil
	}
	if err := w.listen(); err != nil {
		return err
	}
	w.open()
	return nil
}

func (w *webServer) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	srv, l := &http.Server{Handler: w.handler, ReadHeaderTimeout: 30 * time.Second}, w.l
	w.srv = srv
	w.wg.Go(func() { srv.Serve(l) })
}

// close ends the pages for good.
func (w *webServer) close() {
	w.shut()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo()
}

// letGo gives the port up that is held, under mu.
func (w *webServer) letGo() {
	if w.hold != nil {
		w.hold()
		w.hold = nil
	}
}

// shut closes the port, and keeps others from having it.
func (w *webServer) shut() {
	w.mu.Lock()
	srv, l := w.srv, w.l
	w.srv, w.l = nil, nil
	w.mu.Unlock()
	if srv != nil {
		srv.Close()
	}
	if l != nil {
		l.Close()
		w.mu.Lock()
		w.letGo()
		w.hold = hadooptest.Reserve(w.addr)
		w.mu.Unlock()
	}
	w.client.CloseIdleConnections()
	w.wg.Wait()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// serveConf tells one property of the configuration, as JSON. Source: ConfServlet.
func (m *RM) serveConf(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	value, ok := m.settings()[name]
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "Property " + name + " not found"})
		return
	}
	type property struct {
		Key      string `json:"key"`
		Value    string `json:"value"`
		IsFinal  bool   `json:"isFinal"`
		Resource string `json:"resource"`
	}
	writeJSON(w, http.StatusOK, map[string]property{"property": {name, value, false, "yarn-site.xml"}})
}

// settings are the properties that tell what the ResourceManager offers.
func (m *RM) settings() map[string]string {
	return map[string]string{
		"yarn.resourcemanager.opportunistic-container-allocation.enabled": strconv.FormatBool(m.opts.Cluster.Opportunistic),
	}
}

// serveInfo says who this is. Source: RMWebServices, ClusterInfo.
func (m *RM) serveInfo(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	standby := m.standby
	m.mu.Unlock()
	m.info(w, standby)
}

func (m *RM) info(w http.ResponseWriter, standby bool) {
	m.mu.Lock()
	started, stamp := m.started, m.core.Timestamp()
	m.mu.Unlock()
	ha := "ACTIVE"
	if standby {
		ha = "STANDBY"
	}
	writeJSON(w, http.StatusOK, map[string]any{"clusterInfo": map[string]any{
		"id": stamp, "startedOn": started.UnixMilli(), "state": "STARTED", "haState": ha,
		"rmStateStoreName":       "org.apache.hadoop.yarn.server.resourcemanager.recovery.NullRMStateStore",
		"resourceManagerVersion": Version, "resourceManagerBuildVersion": Version + " embedded", "resourceManagerVersionBuiltOn": "1970-01-01T00:00Z",
		"hadoopVersion": Version, "hadoopBuildVersion": Version + " embedded", "hadoopVersionBuiltOn": "1970-01-01T00:00Z",
		"haZooKeeperConnectionState": "ResourceManager HA is not enabled.",
	}})
}

func (m *RM) serveApps(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	now := m.now()
	list := m.core.Apps(now)
	m.mu.Unlock()
	apps := []any{}
	for _, v := range list {
		apps = append(apps, appJSON(v, now))
	}
	writeJSON(w, http.StatusOK, map[string]any{"apps": map[string]any{"app": apps}})
}

func (m *RM) serveApp(w http.ResponseWriter, r *http.Request) {
	v, err := m.appOf(r)
	if err != nil {
		writeJSON(w, http.StatusNotFound, map[string]any{"RemoteException": map[string]any{
			"exception": "NotFoundException", "javaClassName": "org.apache.hadoop.yarn.webapp.NotFoundException",
			"message": fmt.Sprintf("java.lang.Exception: app with id: %s not found", r.PathValue("id"))}})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"app": appJSON(v, time.Now())})
}

func (m *RM) appOf(r *http.Request) (core.AppView, error) {
	id, err := yarn.ParseApplicationID(r.PathValue("id"))
	if err != nil {
		return core.AppView{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.App(id, m.now())
}

// appJSON has the fields that programs ask for. Source: AppInfo.
func appJSON(v core.AppView, now time.Time) map[string]any {
	end := v.Finished
	if end.IsZero() {
		end = now
	}
	final := v.Final.String()[len("APP_"):]
	out := map[string]any{
		"id": v.ID.String(), "user": v.User, "name": v.Context.GetApplicationName(), "queue": v.Queue, "state": v.State.String(), "finalStatus": final,
		"progress": 100 * v.Progress, "trackingUrl": v.TrackingURL, "diagnostics": v.Diagnostics, "clusterId": v.ID.ClusterTimestamp,
		"applicationType": v.Context.GetApplicationType(), "priority": v.Priority, "startedTime": v.Submitted.UnixMilli(), "launchTime": *ms(v.Launched),
		"finishedTime": *ms(v.Finished), "elapsedTime": end.Sub(v.Submitted).Milliseconds(), "memorySeconds": v.MemorySeconds, "vcoreSeconds": v.CoreSeconds,
		"allocatedMB": -1, "allocatedVCores": -1, "runningContainers": -1, "unmanagedApplication": v.Context.GetUnmanagedAm(),
	}
	if v.Live {
		out["allocatedMB"], out["allocatedVCores"], out["runningContainers"] = v.Used.MemoryMiB, v.Used.VCores, v.Containers
	}
	if v.State == pb.ApplicationState_RUNNING {
		out["trackingUI"] = "ApplicationMaster"
	}
	return out
}

// servePage is the page to which the proxy leads when an application has none.
func (m *RM) servePage(w http.ResponseWriter, r *http.Request) {
	v, err := m.appOf(r)
	if err != nil {
		http.Error(w, "Application not found: "+r.PathValue("id"), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><title>%[1]s</title><h1>%[1]s</h1><p>%[2]s of %[3]s: %[4]s</p><pre>%[5]s</pre>\n", v.ID,
		html.EscapeString(v.Context.GetApplicationName()), html.EscapeString(v.User), v.State, html.EscapeString(v.Diagnostics))
}
