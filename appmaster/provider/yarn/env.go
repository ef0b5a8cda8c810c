package yarn

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Config is a Hadoop configuration, such as a *conf.Conf.
type Config interface {
	Get(key string) (value string, set bool)
}

// Self is who this process is, when YARN has started it.
type Self struct {
	Container hadoop.ContainerID
	Node      string // host name
	User      string
	LogDir    string
	ProxyBase string // path of the application's page behind the web proxy
}

// FromEnv reads from the environment of a container what an application master
// has to know, and from the configuration where the ResourceManager is.
func FromEnv(c Config) (Options, Self, error) {
	var s Self
	var err error
	if s.Container, err = hadoop.ParseContainerID(os.Getenv("CONTAINER_ID")); err != nil {
		return Options{}, Self{}, fmt.Errorf("this process was not started by YARN: CONTAINER_ID: %w", err)
	}
	s.Node, s.User, s.ProxyBase = os.Getenv("NM_HOST"), os.Getenv("USER"), os.Getenv("APPLICATION_WEB_PROXY_BASE")
	s.LogDir = firstOf(os.Getenv("LOG_DIRS"))
	if name := os.Getenv("HADOOP_USER_NAME"); name != "" {
		s.User = name
	}
	creds, err := token.ReadFile(os.Getenv("HADOOP_TOKEN_FILE_LOCATION"))
	if err != nil {
		return Options{}, Self{}, fmt.Errorf("cannot read this container's credentials: %w", err)
	}
	addrs, err := hadoop.AddressesFromConf(c)
	if err != nil {
		return Options{}, Self{}, err
	}
	expiry, err := expiryOf(c)
	if err != nil {
		return Options{}, Self{}, err
	}
	auth, _ := c.Get("hadoop.security.authentication")
	o := Options{Attempt: s.Container.Attempt, Expiry: expiry, Scheduler: addrs.Scheduler, Client: addrs.Client, Credentials: creds, User: s.User, Secure: auth != "" && auth != "simple", HTTPS: addrs.HTTPS}
	return o, s, nil
}

// expiryOf is the shorter of the times after which a silent application master, and a
// silent node, is given up. A Hadoop configuration on the client's side may lack what the
// ResourceManager's has; then it is YARN's default.
func expiryOf(c Config) (time.Duration, error) {
	least := defaultExpiry
	for _, key := range []string{"yarn.am.liveness-monitor.expiry-interval-ms", "yarn.nm.liveness-monitor.expiry-interval-ms"} {
		text, ok := c.Get(key)
		if !ok {
			continue
		}
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms <= 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			return 0, fmt.Errorf("%s: %q is no number of milliseconds", key, text)
		}
		least = min(least, time.Duration(ms)*time.Millisecond)
	}
	return least, nil
}
